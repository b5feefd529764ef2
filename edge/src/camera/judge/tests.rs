use super::*;
use std::time::Duration;

struct Source {
    judge: Judge,
    start: Instant,
}

impl Source {
    fn of(sizes: Sizes) -> Self {
        let start = Instant::now();
        let mut judge = Judge::new(&Patience::default(), true, start);
        judge.opened("a camera".to_owned(), sizes, start);
        Self { judge, start }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    fn whole(&mut self, seconds: f64, frame: Frame) -> Verdict {
        let now = self.at(seconds);
        let shot = Shot {
            frame: Arc::new(frame),
            sequence: 0,
            taken: now,
            decoding: Duration::ZERO,
        };
        self.judge.whole(shot, now)
    }
}

fn count(verdict: &Verdict) -> usize {
    verdict.confirmed.len() + usize::from(verdict.show.is_some())
}

/// Bright, of an edge that tells it from others.
fn picture(width: usize, height: usize, edge: usize) -> Frame {
    Frame::from_fn(width, height, |x, _| if x < edge { 90 } else { 200 })
}

fn live(width: usize, height: usize) -> Option<CameraState> {
    Some(CameraState::Live { width, height })
}

#[test]
fn a_size_is_believed_at_the_second_picture_and_another_at_its_third() {
    let mut told = Source::of(Sizes::Steady);
    assert!(told.whole(0.0, picture(8, 6, 1)).show.is_none());
    let second = told.whole(0.1, picture(8, 6, 2));
    assert_eq!((count(&second), second.state), (2, live(8, 6)));
    for number in 1..3 {
        let other = told.whole(0.2, picture(8, 5, number));
        assert!(other.show.is_none() && other.refused.is_empty());
    }
    let back = told.whole(0.3, picture(8, 6, 4));
    assert_eq!(count(&back), 1);
    assert_eq!(back.refused, ["a picture of 8x5 in a stream of 8x6"; 2]);
    told.whole(0.4, picture(4, 4, 1));
    told.whole(0.5, picture(4, 5, 1));
    assert!(told.whole(0.6, picture(4, 5, 2)).show.is_none());
    let changed = told.whole(0.7, picture(4, 5, 3));
    assert_eq!((count(&changed), changed.state), (3, live(4, 5)));
}

#[test]
fn an_announced_size_stands_and_a_single_picture_at_the_end_is_shown() {
    let mut told = Source::of(Sizes::Announced(8, 6));
    assert_eq!(told.whole(0.0, picture(8, 6, 1)).state, live(8, 6));
    for time in [0.1, 0.2, 0.3] {
        let other = told.whole(time, picture(4, 4, 1));
        assert!(other.show.is_none() && other.refused.len() == 1);
    }
    let mut single = Source::of(Sizes::Steady);
    assert!(single.whole(0.0, picture(8, 6, 1)).show.is_none());
    let now = single.at(0.1);
    assert_eq!(count(&single.judge.ended(now)), 1);
}

#[test]
fn the_same_picture_for_three_seconds_is_frozen_until_another_comes() {
    let mut told = Source::of(Sizes::Announced(8, 6));
    told.whole(0.0, picture(8, 6, 1));
    assert_eq!(told.whole(0.1, picture(8, 6, 1)).state, None);
    assert_eq!(told.whole(3.0, picture(8, 6, 1)).state, None);
    let frozen = told.whole(3.1, picture(8, 6, 1));
    assert_eq!(
        (frozen.state.clone(), count(&frozen)),
        (Some(CameraState::Frozen), 1)
    );
    assert_eq!(told.whole(3.2, picture(8, 6, 1)).state, None);
    assert_eq!(told.whole(3.3, picture(8, 6, 2)).state, live(8, 6));
}

#[test]
fn two_seconds_of_darkness_are_black_and_say_more_than_frozen() {
    let mut told = Source::of(Sizes::Announced(40, 50));
    // One sample in a thousand is bright: two of 2,000.
    let dark = |bright: usize| {
        Frame::from_fn(
            40,
            50,
            move |x, y| if y * 40 + x < bright { 255 } else { 32 },
        )
    };
    told.whole(0.0, dark(2));
    assert_eq!(told.whole(1.9, dark(2)).state, None);
    assert_eq!(told.whole(2.0, dark(2)).state, Some(CameraState::Black));
    assert_eq!(told.whole(9.0, dark(2)).state, None);
    assert_eq!(told.whole(9.1, dark(3)).state, live(40, 50));
}

#[test]
fn silence_is_a_stall_with_what_came_instead() {
    let mut told = Source::of(Sizes::Announced(8, 6));
    assert_eq!(told.judge.idle(told.at(9.9)), None);
    told.whole(0.0, picture(8, 6, 1));
    assert_eq!(told.judge.idle(told.at(1.9)), None);
    let why = "no picture for 2.0 s".to_owned();
    assert_eq!(
        told.judge.idle(told.at(2.0)),
        Some(CameraState::Stalled { why })
    );
    assert_eq!(told.judge.idle(told.at(3.0)), None);
    assert_eq!(told.whole(3.5, picture(8, 6, 2)).state, live(8, 6));
    told.judge.damaged("it is cut off".to_owned());
    let why = "no whole picture for 2.5 s: it is cut off".to_owned();
    assert_eq!(
        told.judge.idle(told.at(6.0)),
        Some(CameraState::Stalled { why })
    );
    assert!(!told.judge.is_hopeless(told.at(7.4)));
    assert!(told.judge.is_hopeless(told.at(7.5)));
}
