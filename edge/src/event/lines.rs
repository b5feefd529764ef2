//! Writes events as lines, on a thread of its own: a reader that does not read holds up no frame. Knows text and
//! time: nothing of what the events are about.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::event::Event;

/// How many events wait for a slow reader, at most; later ones are lost, and counted.
const WAITING: usize = 1024;

/// Writes events on a thread of its own: a reader that does not read stalls no frame.
#[derive(Debug)]
pub struct Events {
    started: Instant,
    lines: Arc<SyncSender<String>>,
    lost: u64,
    written: Receiver<io::Result<()>>,
}

/// Reports from another thread, such as that of a button. What does not fit is lost.
#[derive(Clone, Debug)]
pub struct Reporter {
    started: Instant,
    // Weak, so that the writer ends when `Events` does.
    lines: Weak<SyncSender<String>>,
}

impl Reporter {
    /// Reports something, if there is room for it; waits for nothing.
    pub fn report(&self, event: &Event) {
        if let Some(lines) = self.lines.upgrade()
            && let Ok(line) = line(event, self.started)
        {
            let _ = lines.try_send(line);
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event,
    t_s: f64,
}

impl Events {
    /// Events go to `out`.
    ///
    /// # Errors
    /// The system gives no thread to write on.
    pub fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, to_write) = sync_channel::<String>(WAITING);
        let (done, written) = sync_channel(1);
        let write_all = move || {
            // One write a line: no reader sees half of one.
            let write = |line: String| out.write_all(line.as_bytes()).and_then(|()| out.flush());
            // The first error, or that all was written.
            let _ = done.send(to_write.into_iter().try_for_each(write));
        };
        let thread = thread::Builder::new().name("events".to_owned());
        thread.spawn(write_all).map_err(|error| {
            let words = format!(
                "the system gives no thread for events ({error}); allow more (TasksMax, ulimit -u)"
            );
            io::Error::new(error.kind(), words)
        })?;
        Ok(Self {
            started: Instant::now(),
            lines: Arc::new(lines),
            lost: 0,
            written,
        })
    }

    /// For reports from another thread.
    pub fn reporter(&self) -> Reporter {
        Reporter {
            started: self.started,
            lines: Arc::downgrade(&self.lines),
        }
    }

    /// Seconds since the start.
    pub fn now_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// How many were lost because they were not read in time.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Reports something.
    ///
    /// # Errors
    /// What the system said of an earlier one: the reader went away, or the disk is full.
    pub fn report(&mut self, event: &Event) -> io::Result<()> {
        let line = line(event, self.started)?;
        match self.lines.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => self.written.recv().unwrap_or(Ok(())),
        }
    }

    /// Waits until all is written, at most for `patience`; whether it is.
    pub fn flush(self, patience: Duration) -> bool {
        let Self { lines, written, .. } = self;
        drop(lines);
        matches!(written.recv_timeout(patience), Ok(Ok(())))
    }
}

fn line(event: &Event, started: Instant) -> serde_json::Result<String> {
    let t_s = (1e3 * started.elapsed().as_secs_f64()).round() / 1e3;
    let mut line = serde_json::to_string(&Line { event, t_s })?;
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Health;
    use std::sync::Mutex;

    /// What was written, a write at a time; waits before each while it is held.
    #[derive(Clone, Default)]
    struct Reader {
        writes: Arc<Mutex<Vec<String>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.writes.lock().unwrap().push(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn camera(words: &str) -> Event {
        Event::Camera {
            state: "live",
            words: words.to_owned(),
        }
    }

    #[test]
    fn an_event_is_a_line_with_its_kind_its_fields_and_the_time() {
        let reader = Reader::default();
        let mut events = Events::to(reader.clone()).unwrap();
        events.report(&camera("a\nb")).unwrap();
        events
            .report(&Event::Decision {
                frame: 7,
                shown: "match",
                name: Some("cup".to_owned()),
                p: Some(0.95),
                runner_up: None,
                threshold: 0.9,
                bounds: Some([1.0, 2.0, 3.5, 4.0]),
                frames: 3,
            })
            .unwrap();
        events.report(&Event::Health(Health::default())).unwrap();
        assert!(events.flush(Duration::from_secs(10)));
        let written = reader.writes.lock().unwrap().clone();
        assert!(
            written[0].starts_with(r#"{"event":"camera","state":"live","words":"a\nb","t_s":"#)
        );
        let expected = concat!(
            r#"{"event":"decision","frame":7,"shown":"match","name":"cup","p":0.95,"runner_up":null,"#,
            r#""threshold":0.9,"box":[1.0,2.0,3.5,4.0],"frames":3,"t_s":"#
        );
        assert!(written[1].starts_with(expected), "{}", written[1]);
        assert!(written[2].contains(r#""match":0.0"#) && written[2].contains(r#""camera":{"#));
        assert!(written.iter().all(|line| line.ends_with("}\n")));
    }

    #[test]
    fn a_reader_who_does_not_read_loses_events_and_stalls_nobody() {
        let reader = Reader::default();
        let held = reader.writes.lock().unwrap();
        let mut events = Events::to(reader.clone()).unwrap();
        for number in 0..3 * WAITING {
            events.report(&camera(&number.to_string())).unwrap();
        }
        let lost = events.lost() as usize;
        // What waits, and the one that is being written.
        assert!((2 * WAITING - 1..=2 * WAITING).contains(&lost), "{lost}");
        drop(held);
        assert!(events.flush(Duration::from_secs(10)));
        assert_eq!(reader.writes.lock().unwrap().len(), 3 * WAITING - lost);
    }

    #[test]
    fn a_reader_who_went_away_is_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut events = Events::to(Gone).unwrap();
        let error = (0..1_000_000).find_map(|_| {
            thread::yield_now();
            events.report(&camera("")).err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn another_thread_reports_too_and_is_not_waited_for_at_the_end() {
        let reader = Reader::default();
        let events = Events::to(reader.clone()).unwrap();
        let reporter = events.reporter();
        reporter.report(&camera("from elsewhere"));
        assert!(events.flush(Duration::from_secs(10)));
        reporter.report(&camera("too late"));
        let written = reader.writes.lock().unwrap().concat();
        assert!(written.contains("from elsewhere") && !written.contains("too late"));
    }
}
