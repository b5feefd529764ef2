use super::*;

fn head() -> Head {
    Head {
        alpha: vec![0.5, 1.0, 0.25],
        bias: 1.0,
    }
}

const NONE: Softmax = softmax(0.0, 0.0);

const fn softmax(weight: f32, smoothing: f32) -> Softmax<'static> {
    Softmax {
        weight,
        smoothing,
        teacher: None,
    }
}

/// Six embeddings of three classes; no two numbers of a column are equal, so that every
/// absolute value has a derivative.
const EMBEDDINGS: [f32; 18] = [
    0.1, 0.9, 0.3, 0.25, 0.7, 0.1, 1.4, 0.2, 0.65, 1.1, 0.05, 0.9, 0.5, 1.5, 2.0, 0.8, 1.3, 1.7,
];
const CLASSES: [usize; 6] = [7, 7, 3, 3, 5, 5];

/// Compares a gradient with central differences of the value.
fn check(loss: impl Fn(&[f32], &Head) -> Loss) {
    let found = loss(&EMBEDDINGS, &head());
    let step = 1e-2f32;
    let near = |gradient: f32, up: Loss, down: Loss| {
        let measured = (up.value - down.value) / (2.0 * step);
        assert!((gradient - measured).abs() < 2e-4, "{gradient} {measured}");
    };
    for at in 0..EMBEDDINGS.len() {
        let moved = |by: f32| {
            let mut embeddings = EMBEDDINGS;
            embeddings[at] += by;
            loss(&embeddings, &head())
        };
        near(found.embeddings[at], moved(step), moved(-step));
    }
    for at in 0..3 {
        let moved = |by: f32| {
            let mut head = head();
            head.alpha[at] += by;
            loss(&EMBEDDINGS, &head)
        };
        near(found.alpha[at], moved(step), moved(-step));
    }
    let moved = |by: f32| {
        let head = Head {
            bias: 1.0 + by,
            ..head()
        };
        loss(&EMBEDDINGS, &head)
    };
    near(found.bias, moved(step), moved(-step));
}

#[test]
fn the_gradient_of_all_pairs_is_that_of_finite_differences() {
    let teacher: Vec<f64> = (0..36).map(|pair| f64::from(pair * 7 % 11) / 5.0).collect();
    let taught = Softmax {
        teacher: Some(&teacher),
        ..softmax(0.7, 0.6)
    };
    for softmax in [NONE, softmax(0.7, 0.0), softmax(0.7, 0.3), taught] {
        check(|embeddings, head| all_pairs(embeddings, head, &CLASSES, softmax));
    }
}

#[test]
fn the_gradient_of_given_pairs_is_that_of_finite_differences() {
    let given = [(0, 1, true), (4, 2, false), (3, 0, false), (5, 4, true)];
    check(|embeddings, head| pairs(embeddings, head, &given));
}

#[test]
fn the_losses_by_hand() {
    // Distances 2 (same) and 0, 2 (different), b = 1: z = -1, 1, -1.
    let head = Head {
        alpha: vec![2.0],
        bias: 1.0,
    };
    let embeddings = [0.0, 1.0, 0.0];
    let classes = [0, 0, 1];
    let (near, far) = ((1.0f32 + 1f32.exp()).ln(), (1.0 + (-1f32).exp()).ln());
    let entropy = 0.5 * near + 0.5 * (near + far) / 2.0;
    let found = all_pairs(&embeddings, &head, &classes, NONE);
    assert!((found.value - entropy).abs() < 1e-6);
    assert_eq!(found.accuracy, 0.25);
    // Anchor 0: partner at 2, impostor at 0; anchor 1: both at 2.
    let plain = 0.5 * ((1.0 + 2f32.exp()).ln() + 2f32.ln());
    let found = all_pairs(&embeddings, &head, &classes, softmax(1.0, 0.0));
    assert!((found.value - entropy - plain).abs() < 1e-6);
    // Means of 1 and 2, less 2 to the partner: -1 and 0.
    let found = all_pairs(&embeddings, &head, &classes, softmax(1.0, 0.2));
    assert!((found.value - entropy - plain + 0.2 * 0.5).abs() < 1e-6);
    // A teacher that finds the impostor ln 3 nearer than the partner, from either: 3/4 of 0 and 1/4 of 2 less 2
    // for anchor 0; nothing for anchor 1, from which both are as far.
    let impostor = 2.0 - 3f64.ln();
    let taught = Softmax {
        teacher: Some(&[0.0, 2.0, impostor, 2.0, 0.0, impostor, 0.0, 0.0, 0.0]),
        ..softmax(1.0, 0.2)
    };
    let found = all_pairs(&embeddings, &head, &classes, taught);
    assert!((found.value - entropy - plain + 0.2 * 0.75).abs() < 1e-6);
    let found = pairs(&embeddings, &head, &[(0, 1, true), (0, 2, false)]);
    assert!((found.value - (near + near) / 2.0).abs() < 1e-6);
    assert_eq!(found.accuracy, 0.0);
}

#[test]
fn far_apart_embeddings_do_not_overflow() {
    let head = Head {
        alpha: vec![1e4],
        bias: 0.0,
    };
    let found = all_pairs(
        &[0.0, 1.0, 0.0, 1.0],
        &head,
        &[0, 0, 1, 1],
        softmax(1.0, 0.1),
    );
    assert!(found.value.is_finite() && found.embeddings.iter().all(|g| g.is_finite()));
}
