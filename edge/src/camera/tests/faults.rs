//! Sources that do what cameras, cables and servers do at their worst: every reader must come through it,
//! and show nothing that is damaged.

use std::io::{self, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use super::*;

/// Short, so that a test does not wait; long enough for a busy machine.
fn impatient() -> Wanted {
    Wanted {
        patience: Patience {
            first: Duration::from_millis(1500),
            stalled: Duration::from_millis(300),
            lost: Duration::from_millis(600),
            frozen: Duration::from_secs(60),
            black: Duration::from_secs(60),
            again: Duration::from_millis(20),
            again_most: Duration::from_millis(100),
        },
        ..Wanted::default()
    }
}

/// Every number another picture; no two of different size.
fn drawn(number: u8, width: usize, height: usize) -> Frame {
    let (phase, place) = (usize::from(number) * 37 % 251, usize::from(number));
    Frame::from_fn(width, height, |x, y| {
        let wave = (x * 5 + y * (3 + place % 4) + phase) % 97;
        if (x + place) % 17 < 3 {
            20
        } else {
            120 + wave as u8
        }
    })
}

fn jpeg(frame: &Frame) -> Vec<u8> {
    let colour =
        [ExtendedColorType::L8, ExtendedColorType::Rgb8][usize::from(frame.channels() == 3)];
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 70)
        .encode(
            frame.pixels(),
            frame.width() as u32,
            frame.height() as u32,
            colour,
        )
        .unwrap();
    bytes
}

fn numbered(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(|number| jpeg(&drawn(number, 48, 32))).collect()
}

fn multipart(picture: &[u8]) -> Vec<u8> {
    let length = picture.len();
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), picture, b"\r\n"].concat()
}

fn y4m(numbers: std::ops::Range<u8>) -> Vec<u8> {
    let mut stream = b"YUV4MPEG2 W48 H32 F25:1 Cmono\n".to_vec();
    for number in numbers {
        stream.extend(b"FRAME\n");
        stream.extend(drawn(number, 48, 32).pixels());
    }
    stream
}

/// A camera over a stream that is read in order, every picture of it.
fn over(stream: Vec<u8>, wanted: &Wanted) -> Camera {
    let (sizes, pictures) = files::stream(Cursor::new(stream)).unwrap();
    let feed = Feed::InOrder(files::InOrder::new("a stream".to_owned(), sizes, pictures));
    Camera::new("a stream".to_owned(), feed, false, wanted)
}

fn all_frames(camera: &mut Camera) -> Vec<Shot> {
    let mut shots = Vec::new();
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        match camera.newest(Duration::from_millis(100)) {
            Glance::Frame(shot) => shots.push(shot),
            Glance::Ended => return shots,
            Glance::State(_) | Glance::Nothing => {}
        }
    }
    panic!("no end; {:?}, {:?}", camera.state(), camera.counts());
}

/// Looks until a state comes that is asked for; frames on the way are kept.
fn until(
    camera: &mut Camera,
    asked: impl Fn(&CameraState) -> bool,
    shots: &mut Vec<Shot>,
) -> CameraState {
    let limit = Instant::now() + Duration::from_secs(30);
    while Instant::now() < limit {
        match camera.newest(Duration::from_millis(50)) {
            Glance::State(state) if asked(&state) => return state,
            Glance::Frame(shot) => shots.push(shot),
            Glance::Ended => panic!("ended; {:?}, {:?}", camera.state(), camera.counts()),
            Glance::State(_) | Glance::Nothing => {}
        }
    }
    panic!("not seen; {:?}, {:?}", camera.state(), camera.counts());
}

fn is_live(state: &CameraState) -> bool {
    matches!(state, CameraState::Live { .. })
}

fn is_lost(state: &CameraState) -> bool {
    matches!(state, CameraState::Lost { .. })
}

fn is_stalled(state: &CameraState) -> bool {
    matches!(state, CameraState::Stalled { .. })
}

fn holds_together(counts: &Counts) -> bool {
    let known = counts.shown + counts.damaged + counts.dropped;
    (known..=known + 3).contains(&counts.captured)
}

fn source(text: &str) -> Source {
    text.parse().unwrap()
}

/// Marsaglia's xorshift: the same faults on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Segments of a JPEG up to its coded data: (marker, begin, end); begin is at the ff.
fn segments(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 2);
    loop {
        let end = at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        found.push((bytes[at + 1], at, end));
        if bytes[at + 1] == 0xda {
            return found;
        }
        at = end;
    }
}

/// A fault that every reader can tell, in a whole picture.
fn with_a_fault(picture: &[u8], dice: &mut Dice) -> (usize, Vec<u8>) {
    let mut bytes = picture.to_vec();
    let found = segments(picture);
    let data = found[found.len() - 1].2;
    let frame = found
        .iter()
        .find(|(marker, ..)| (0xc0..=0xc2).contains(marker))
        .unwrap()
        .1;
    let (_, begin, end) = found[dice.below(found.len())];
    let fault = dice.below(8);
    match fault {
        // Cut anywhere: the next picture begins, or an end marker was put.
        0 => bytes.truncate(2 + dice.below(picture.len() - 3)),
        1 => {
            bytes.truncate(data + dice.below(picture.len() - data - 4));
            bytes.extend([0xff, 0xd9]);
        }
        // A size that is another.
        2 => bytes[frame + 5 + dice.below(4)] ^= 1 << dice.below(8),
        // The length of a segment.
        3 => bytes[begin + 2 + dice.below(2)] ^= 1 << dice.below(8),
        // A marker's code.
        4 => bytes[begin + 1] ^= 1 << dice.below(8),
        // Bytes of the header are lost.
        5 => {
            let from = begin + dice.below(end - begin);
            bytes.drain(from..(from + 1 + dice.below(8)).min(data));
        }
        // Garbage in the middle of everything, markers among it.
        6 => {
            let at = 2 + dice.below(picture.len() - 4);
            let garbage = (0..40).flat_map(|_| [0xff, 1 + dice.below(0xbf) as u8]);
            bytes.splice(at..at, garbage.collect::<Vec<u8>>());
        }
        // Nothing but the frame around it.
        _ => bytes.truncate(2),
    }
    (fault, bytes)
}

#[test]
fn of_100_000_faulty_pictures_not_one_is_shown() {
    let fixtures: [&[u8]; 4] = [
        include_bytes!("../../../tests/fixtures/420-restarts.jpg"),
        include_bytes!("../../../tests/fixtures/422.jpg"),
        include_bytes!("../../../tests/fixtures/444-optimised.jpg"),
        include_bytes!("../../../tests/fixtures/grey.jpg"),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut faulty, mut shown) = (0u64, 0);
    for round in 0..100 {
        let whole: Vec<Vec<u8>> = match round % 2 {
            0 => numbered(0..10),
            _ => fixtures.iter().map(|bytes| bytes.to_vec()).collect(),
        };
        let good: Vec<Frame> = whole
            .iter()
            .map(|bytes| Frame::decode_jpeg(bytes, "whole", true).unwrap())
            .collect();
        // Two whole ones say the size; then faults, and now and then a whole one.
        let mut pictures = vec![whole[0].clone(), whole[1].clone()];
        let mut faults = Vec::new();
        for _ in 0..1000 {
            let picture = &whole[dice.below(whole.len())];
            if dice.below(50) == 0 {
                pictures.push(picture.clone());
            }
            let (fault, picture) = with_a_fault(picture, &mut dice);
            pictures.push(picture);
            faults.resize(pictures.len() - 1, 99);
            faults.push(fault);
            faulty += 1;
        }
        let wanted = Wanted {
            grey: true,
            ..impatient()
        };
        // Each by itself, as a driver or a multipart server gives them, and all in one stream.
        let (count, stream) = (pictures.len() as u64, pictures.concat());
        let pictures = Box::new(
            pictures
                .into_iter()
                .map(|bytes| Ok(CodedPicture::Jpeg(Arc::new(bytes)))),
        );
        let apart = files::InOrder::new("apart".to_owned(), Sizes::Steady, pictures);
        let mut apart = Camera::new("apart".to_owned(), Feed::InOrder(apart), false, &wanted);
        for (name, camera) in [
            ("apart", &mut apart),
            ("streamed", &mut over(stream, &wanted)),
        ] {
            for shot in all_frames(camera) {
                // Some faults hit what nobody needs, such as a comment: the picture is as it was.
                let same = good.contains(&shot.frame);
                assert!(
                    same,
                    "round {round}, {name}, picture {}: shown and damaged; fault {:?}",
                    shot.sequence,
                    faults.get(shot.sequence as usize)
                );
                shown += 1;
            }
            assert!(holds_together(&camera.counts()), "{:?}", camera.counts());
        }
        let counts = apart.counts();
        assert!(
            counts.captured == count && counts.damaged >= 800,
            "{counts:?}"
        );
    }
    println!("{faulty} faulty pictures; {shown} shown, each as it was before its fault");
}

#[test]
fn whatever_changes_inside_nothing_panics_and_every_frame_has_the_size_of_the_stream() {
    let whole = [
        include_bytes!("../../../tests/fixtures/420-restarts.jpg").to_vec(),
        include_bytes!("../../../tests/fixtures/444-optimised.jpg").to_vec(),
    ];
    let good = whole
        .each_ref()
        .map(|bytes| Frame::decode_jpeg(bytes, "whole", false).unwrap());
    let mut dice = Dice(77);
    let mut changed = [0u64; 2];
    let mut pictures = 0;
    for (kind, bytes) in whole.iter().enumerate() {
        let mut stream = bytes.repeat(2);
        for _ in 0..10_000 {
            let mut picture = bytes.clone();
            if dice.below(4) == 0 {
                // A packet of coded data is lost, and zeros stand for it.
                let at = picture.len() - 2 - dice.below(500);
                let end = picture.len() - 2;
                picture[at..(at + 64).min(end)].fill(0);
            } else {
                for _ in 0..=dice.below(3) {
                    let at = dice.below(picture.len());
                    picture[at] ^= 1 << dice.below(8);
                }
            }
            stream.extend(picture);
            pictures += 1;
        }
        let mut camera = over(stream, &impatient());
        for shot in all_frames(&mut camera) {
            assert_eq!((shot.frame.width(), shot.frame.height()), (61, 43));
            changed[kind] += u64::from(*shot.frame != good[kind]);
        }
        assert!(holds_together(&camera.counts()));
    }
    println!(
        "{pictures} pictures with 1 to 3 flipped bits or a packet of zeros: {changed:?} of {} each decode to other pixels",
        pictures / 2
    );
}

#[test]
fn a_stream_of_raw_video_shows_whole_pictures_only() {
    let whole = y4m(0..6);
    let good: Vec<Frame> = (0..6).map(|number| drawn(number, 48, 32)).collect();
    let seen = |stream: Vec<u8>| {
        files::stream(Cursor::new(stream))
            .ok()
            .map(|(sizes, pictures)| {
                let feed = Feed::InOrder(files::InOrder::new("y4m".to_owned(), sizes, pictures));
                let mut camera = Camera::new("y4m".to_owned(), feed, false, &impatient());
                all_frames(&mut camera)
            })
    };
    assert_eq!(seen(whole.clone()).unwrap().len(), 6);
    let mut dice = Dice(5);
    for _ in 0..3000 {
        let mut stream = whole.clone();
        let from = 30 + dice.below(whole.len() - 40);
        stream.drain(from..(from + 1 + dice.below(3000)).min(whole.len()));
        for shot in seen(stream).unwrap() {
            // A picture whose own bytes were lost is filled by the next one's head, which is found out at
            // the next: it alone may have been shown.
            let known = good.iter().any(|frame| *frame == *shot.frame);
            assert!(known || shot.sequence as usize * 1542 + 1600 >= from - 30);
        }
    }
}

#[test]
fn a_clip_and_a_folder_play_every_frame_in_order_and_begin_again_if_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mjpeg");
    std::fs::write(&clip, numbered(0..5).concat()).unwrap();
    let raw = folder.path().join("clip.y4m");
    std::fs::write(&raw, y4m(0..5)).unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for number in 0..5u8 {
        let png = drawn(number, 40 + usize::from(number), 32)
            .to_png()
            .unwrap();
        std::fs::write(pictures.join(format!("{number}.png")), png).unwrap();
    }
    std::fs::write(pictures.join("3a.jpg"), b"no picture").unwrap();
    std::fs::write(pictures.join("notes.txt"), b"nothing to see").unwrap();
    for (path, damaged) in [(&clip, 0), (&raw, 0), (&pictures, 1)] {
        let source = Source::Files(path.clone());
        let mut camera = open(&source, &Wanted::default()).unwrap();
        let sequence: Vec<u64> = all_frames(&mut camera)
            .iter()
            .map(|shot| shot.sequence)
            .collect();
        let expected: Vec<u64> = (0..5 + damaged)
            .filter(|&n| damaged == 0 || n != 4)
            .collect();
        assert_eq!(sequence, expected, "{path:?}");
        assert_eq!(camera.counts().damaged, damaged);
        let looped = Wanted {
            looped: true,
            ..Wanted::default()
        };
        let mut camera = open(&source, &looped).unwrap();
        let frames = (0..100).filter(|_| matches!(camera.newest(Duration::ZERO), Glance::Frame(_)));
        // Each of another size is a change of state.
        assert!(frames.count() > 40, "{path:?}");
    }
    let single = Source::Files(pictures.join("2.png"));
    assert_eq!(
        all_frames(&mut open(&single, &Wanted::default()).unwrap()).len(),
        1
    );
}

#[test]
fn a_clip_at_a_rate_takes_its_time_and_drops_what_nobody_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mjpeg");
    std::fs::write(&clip, numbered(0..20).concat()).unwrap();
    let wanted = Wanted {
        fps: Some(100.0),
        ..impatient()
    };
    let started = Instant::now();
    let mut camera = open(&Source::Files(clip), &wanted).unwrap();
    thread::sleep(Duration::from_millis(120));
    let shots = all_frames(&mut camera);
    // 19 intervals of 10 ms after the first picture.
    assert!(started.elapsed() >= Duration::from_millis(190));
    let counts = camera.counts();
    assert_eq!((counts.captured, counts.damaged), (20, 0));
    assert!(
        counts.dropped >= 5 && counts.shown == shots.len() as u64,
        "{counts:?}"
    );
    assert_eq!(counts.shown + counts.dropped, 20);
    assert!(shots.is_sorted_by(|a, b| a.sequence < b.sequence));
}

#[test]
fn what_cannot_be_played_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        open(&Source::Files(path.to_owned()), &Wanted::default())
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused(&folder.path().join("none")).contains("No such file"));
    assert!(refused(folder.path()).contains("no PNG, JPEG"));
    let video = folder.path().join("video.mp4");
    std::fs::write(&video, b"\0\0\0\x18ftypmp42").unwrap();
    assert!(refused(&video).contains("ffmpeg"));
    std::fs::write(&video, b"YUV4MPEG2 W2\n").unwrap();
    assert!(refused(&video).contains("no width and height"));
    let command = source("exec:/no/such/program -o -");
    let error = open(&command, &Wanted::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("/no/such/program") && error.contains("is it installed"),
        "{error}"
    );
}

#[test]
fn standard_input_may_be_silent_and_ends_when_it_ends() {
    let (reader, mut writer) = io::pipe().unwrap();
    let wanted = impatient();
    let input = std::os::fd::OwnedFd::from(reader).into();
    let capture = standard_input(input, false, &wanted.patience).unwrap();
    let mut camera = Camera::new("mjpeg:-".to_owned(), Feed::Live(capture), true, &wanted);
    let mut shots = Vec::new();
    let pictures = numbered(0..4);
    let mut later = writer.try_clone().unwrap();
    let begun = pictures[..2].to_vec();
    let writing = thread::spawn(move || {
        for picture in begun {
            later.write_all(&picture).unwrap();
            thread::sleep(Duration::from_millis(100));
        }
    });
    until(&mut camera, is_live, &mut shots);
    writing.join().unwrap();
    // Longer than any other source may be silent.
    let stalled = until(&mut camera, is_stalled, &mut shots);
    assert!(matches!(stalled, CameraState::Stalled { why } if why.starts_with("no picture for")));
    thread::sleep(wanted.patience.lost);
    writer.write_all(&pictures[2][..100]).unwrap();
    writer.write_all(&pictures[2][100..]).unwrap();
    until(&mut camera, is_live, &mut shots);
    writer.write_all(&pictures[3][..300]).unwrap();
    drop(writer);
    shots.extend(all_frames(&mut camera));
    assert_eq!(shots.last().map(|shot| shot.sequence), Some(2));
    let counts = camera.counts();
    assert_eq!(
        (counts.captured, counts.damaged, counts.reopened),
        (4, 1, 0)
    );
    assert!(
        camera
            .last_damage()
            .is_some_and(|why| why.contains("cut off"))
    );
    assert!(matches!(camera.newest(Duration::ZERO), Glance::Ended));
}

#[test]
fn a_child_that_ends_or_goes_silent_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip");
    for (bytes, then) in [
        (numbered(0..3).concat(), "sleep 0.2; cat \"$0\"; sleep 60"),
        (y4m(0..3), "echo \"cable pulled\" >&2; exit 3"),
    ] {
        std::fs::write(&clip, bytes).unwrap();
        let command = format!("exec:sh -c 'cat \"$0\"; {then}' {}", clip.display());
        let mut camera = open(&source(&command), &impatient()).unwrap();
        let mut shots = Vec::new();
        for _ in 0..3 {
            until(&mut camera, is_live, &mut shots);
            let lost = until(&mut camera, is_lost, &mut shots);
            let CameraState::Lost { why, again } = lost else {
                panic!("{lost:?}");
            };
            assert!(again.is_some_and(|again| again <= Duration::from_millis(100)));
            let told = if then.ends_with("sleep 60") {
                "no picture came in time"
            } else {
                "exit status: 3): cable pulled"
            };
            assert!(why.contains(told), "{why}");
        }
        assert!(camera.counts().reopened >= 2);
        assert!(holds_together(&camera.counts()));
        let started = Instant::now();
        drop(camera);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn a_child_that_floods_with_garbage_is_stopped() {
    let mut camera = open(&source("exec:cat /dev/zero"), &impatient()).unwrap();
    let lost = until(&mut camera, is_lost, &mut Vec::new());
    assert!(
        matches!(lost, CameraState::Lost { why, .. } if why.contains("no picture came in time"))
    );
}

/// Serves connections one after another; a script is told the connection's number.
fn server(script: impl Fn(usize, &mut TcpStream) -> io::Result<()> + Send + 'static) -> Source {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            // The client may be gone already.
            let _ = script(number, &mut stream);
        }
    });
    source(&format!("http://127.0.0.1:{port}/stream"))
}

const HEAD: &[u8] =
    b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n";

fn among(reasons: &[String], words: &str) -> bool {
    reasons.iter().any(|reason| reason.contains(words))
}

#[test]
fn a_server_that_hangs_up_stalls_refuses_or_lies_is_asked_again() {
    let served = server(|number, stream| {
        let pictures = numbered(0..6);
        if number % 5 != 2 {
            stream.write_all(HEAD)?;
        }
        match number % 5 {
            // Hangs up within a picture.
            0 => {
                for picture in &pictures {
                    stream.write_all(&multipart(picture))?;
                    thread::sleep(Duration::from_millis(20));
                }
                stream.write_all(&multipart(&pictures[0])[..200])
            }
            // Stalls.
            1 => {
                for picture in &pictures[..3] {
                    stream.write_all(&multipart(picture))?;
                }
                thread::sleep(Duration::from_millis(1200));
                Ok(())
            }
            2 => stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n"),
            // Lies about lengths.
            3 => {
                for picture in &pictures {
                    let part = String::from_utf8_lossy(b"Content-Length: 9999").into_owned();
                    stream.write_all(format!("--frame\r\n{part}\r\n\r\n").as_bytes())?;
                    stream.write_all(picture)?;
                }
                Ok(())
            }
            _ => {
                for picture in pictures.iter().cycle().take(40) {
                    stream.write_all(&multipart(picture))?;
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            }
        }
    });
    let mut camera = open(&served, &impatient()).unwrap();
    let mut shots = Vec::new();
    let mut reasons = Vec::new();
    // A machine that is busy may see one state and miss the next: the server goes round again.
    let wanted = ["it ended", "in time", "503"];
    while reasons.len() < 5 || !wanted.iter().all(|why| among(&reasons, why)) {
        assert!(reasons.len() < 40, "{reasons:?}");
        let CameraState::Lost { why, .. } = until(&mut camera, is_lost, &mut shots) else {
            panic!("asked for lost");
        };
        reasons.push(why);
    }
    let good: Vec<Frame> = numbered(0..6)
        .iter()
        .map(|bytes| Frame::decode_jpeg(bytes, "whole", false).unwrap())
        .collect();
    assert!(shots.len() > 10 && shots.iter().all(|shot| good.contains(&shot.frame)));
    let counts = camera.counts();
    assert!(counts.damaged >= 2 && counts.reopened >= 4, "{counts:?}");
}

#[test]
fn a_server_that_is_not_up_yet_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut camera = open(&source(&format!("http://127.0.0.1:{port}/")), &impatient()).unwrap();
    let mut shots = Vec::new();
    until(&mut camera, is_lost, &mut shots);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: video/x-motion-jpeg\r\n\r\n")?;
        for picture in numbered(0..5) {
            write!(stream, "{:x}\r\n", picture.len())?;
            stream.write_all(&picture)?;
            stream.write_all(b"\r\n")?;
            thread::sleep(Duration::from_millis(100));
        }
        io::Result::Ok(())
    });
    until(&mut camera, is_live, &mut shots);
    serving.join().unwrap().unwrap();
}

#[test]
fn a_size_that_changes_in_mid_stream_is_reported_and_a_single_odd_one_skipped() {
    let small = |number| jpeg(&drawn(number, 48, 32));
    let large = |number| jpeg(&drawn(number, 64, 40));
    let stream = [
        small(0),
        small(1),
        large(2),
        small(3),
        large(4),
        large(5),
        large(6),
    ]
    .concat();
    let mut camera = over(stream, &impatient());
    let mut seen = Vec::new();
    loop {
        match camera.newest(Duration::from_millis(10)) {
            Glance::Frame(shot) => seen.push(format!("{}", shot.sequence)),
            Glance::State(CameraState::Live { width, height }) => {
                seen.push(format!("{width}x{height}"))
            }
            Glance::State(_) | Glance::Nothing => {}
            Glance::Ended => break,
        }
    }
    assert_eq!(seen, ["48x32", "0", "1", "3", "64x40", "4", "5", "6"]);
    assert_eq!(camera.counts().damaged, 1);
}

#[test]
fn a_still_or_dark_camera_says_so_and_shows_it_all_the_same() {
    let dark = jpeg(&Frame::from_fn(48, 32, |_, _| 3));
    for (picture, state) in [
        (numbered(7..8).concat(), CameraState::Frozen),
        (dark, CameraState::Black),
    ] {
        let served = server(move |_, stream| {
            stream.write_all(HEAD)?;
            loop {
                stream.write_all(&multipart(&picture))?;
                thread::sleep(Duration::from_millis(10));
            }
        });
        let mut wanted = impatient();
        wanted.patience.frozen = Duration::from_millis(200);
        wanted.patience.black = Duration::from_millis(100);
        let mut camera = open(&served, &wanted).unwrap();
        let mut shots = Vec::new();
        until(&mut camera, |seen| *seen == state, &mut shots);
        let before = camera.counts().shown;
        while camera.counts().shown == before {
            camera.newest(Duration::from_millis(100));
        }
        assert_eq!(*camera.state(), state);
    }
}

#[test]
fn a_stream_of_nothing_but_damage_is_stalled_for_a_reason_and_opened_again() {
    let served = server(|_, stream| {
        stream.write_all(HEAD)?;
        let picture = &numbered(0..1)[0];
        let mut damaged = picture.clone();
        let middle = picture.len() / 2;
        damaged[middle..picture.len() - 2].fill(0);
        loop {
            stream.write_all(&multipart(&damaged))?;
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut wanted = impatient();
    wanted.patience.first = Duration::from_millis(300);
    let mut camera = open(&served, &wanted).unwrap();
    let mut shots = Vec::new();
    let stalled = until(&mut camera, is_stalled, &mut shots);
    assert!(matches!(stalled, CameraState::Stalled { why } if why.contains("no whole picture")));
    let lost = until(&mut camera, is_lost, &mut shots);
    assert!(matches!(lost, CameraState::Lost { why, .. } if why.contains("nothing whole came")));
    assert!(shots.is_empty());
}
