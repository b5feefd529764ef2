//! A child that writes pictures to its standard output, such as `rpicam-vid` or `gst-launch-1.0`.
//! It is killed with all that it started, and reaped, when it is dropped. Knows no pictures.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::source::Program;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// To end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_millis(400);
const POLL: Duration = Duration::from_millis(5);
/// What is kept of a line that it writes to its standard error.
const MOST_LINE_BYTES: u64 = 1024;
/// How many of its last lines are kept.
const LAST_LINES: usize = 3;

/// A running child.
pub(super) struct Child {
    process: process::Child,
    program: String,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    listener: JoinHandle<()>,
    reaped: bool,
}

impl Child {
    /// Starts `program`, without a shell. What it writes to its standard error goes
    /// to ours.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(program: &Program) -> io::Result<(Self, ChildStdout)> {
        let mut process = Command::new(&program.name)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: what it starts ends with it.
            .process_group(0)
            .spawn()?;
        let (Some(output), Some(errors)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let last_lines = Arc::default();
        let theirs = Arc::clone(&last_lines);
        let listener = thread::Builder::new()
            .name("child".to_owned())
            .spawn(move || listen(errors, &theirs));
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(error);
            }
        };
        let child = Self {
            process,
            program: program.name.clone(),
            last_lines,
            listener,
            reaped: false,
        };
        Ok((child, output))
    }

    /// Ends it, and says how it ended and what it said last.
    pub(super) fn end(&mut self) -> io::Error {
        let ended = match self.stop() {
            Ok(status) => format!("{} ended ({status})", self.program),
            Err(error) => format!("{}: {error}", self.program),
        };
        // Its last words may still be on their way.
        let until = Instant::now() + GRACE;
        while !self.listener.is_finished() && Instant::now() < until {
            thread::sleep(POLL);
        }
        let last = self
            .last_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last: Vec<&str> = last.iter().map(String::as_str).collect();
        let said = if last.is_empty() { "" } else { ": " };
        io::Error::other(format!("{ended}{said}{}", last.join(" | ")))
    }

    /// Lets it end by itself for a moment, asks it to, kills it with all that it started, reaps it.
    fn stop(&mut self) -> io::Result<process::ExitStatus> {
        if !self.exits_within(GRACE / 2) {
            self.signal(Signal::TERM);
            self.exits_within(GRACE / 2);
        }
        // Before it is reaped: after that its number may be another's.
        self.signal(Signal::KILL);
        self.reaped = true;
        self.process.wait()
    }

    /// Whether it ends, unreaped, within a time.
    fn exits_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match self.group().map(|pid| waitid(WaitId::Pid(pid), ended)) {
                Some(Ok(None)) if Instant::now() < until => thread::sleep(POLL),
                Some(Ok(None)) => return false,
                _ => return true,
            }
        }
    }

    fn group(&self) -> Option<Pid> {
        i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
    }

    /// To the whole group; that it is gone is no error.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group() {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Where it was stopped it is reaped, and its number may be another's.
        if !self.reaped {
            self.signal(Signal::TERM);
            let _ = self.stop();
        }
    }
}

/// Passes on what a child complains of, and keeps the end of it.
fn listen(errors: ChildStderr, last_lines: &Mutex<VecDeque<String>>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut errors)
            .take(MOST_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let said = String::from_utf8_lossy(&line);
        let said = said.trim_end();
        if said.is_empty() {
            continue;
        }
        pass_on(said);
        let mut last = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(said.to_owned());
    }
}

/// Writes a line to our standard error, where it is read: a reader that is slow, or has gone away, must not hold up
/// the child, and so the camera.
fn pass_on(line: &str) {
    let mut errors = io::stderr();
    let mut ready = [PollFd::new(&errors, PollFlags::OUT)];
    let at_once = Timespec::default();
    let is_ready =
        poll(&mut ready, Some(&at_once)).is_ok() && ready[0].revents().contains(PollFlags::OUT);
    if is_ready {
        // A pipe that is ready takes at least 4096 bytes: more than a line has.
        let _ = errors.write_all(format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(command: &str) -> (Child, ChildStdout) {
        let program = Program {
            name: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), command.to_owned()],
        };
        Child::start(&program).unwrap()
    }

    fn alive(pid: &str) -> bool {
        // A zombie has been killed; reaping it is another matter.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn how_it_ended_and_what_it_said_last_are_told() {
        let (mut child, _output) = start("echo one >&2; echo 'no cameras available' >&2; exit 3");
        let why = child.end().to_string();
        assert!(why.contains("exit status: 3"), "{why}");
        assert!(why.ends_with("one | no cameras available"), "{why}");
    }

    #[test]
    fn what_it_started_ends_with_it_even_if_it_will_not() {
        let (child, output) =
            start("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 60' & wait; sleep 60");
        let mut pid = String::new();
        BufReader::new(output).read_line(&mut pid).unwrap();
        assert!(alive(pid.trim()));
        let (own, started) = (child.process.id().to_string(), Instant::now());
        drop(child);
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(
            !std::path::Path::new(&format!("/proc/{own}")).exists(),
            "it is reaped"
        );
        // Killed is not gone at once.
        let until = Instant::now() + Duration::from_secs(5);
        while alive(pid.trim()) && Instant::now() < until {
            thread::sleep(POLL);
        }
        assert!(!alive(pid.trim()));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let program = Program {
            name: "/no/such/program".to_owned(),
            arguments: Vec::new(),
        };
        assert!(Child::start(&program).is_err());
    }
}
