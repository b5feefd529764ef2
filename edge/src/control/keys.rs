//! Keys of the terminal as commands for the running loop; what came of them is written to standard error.
//! Knows the terminal: nothing of frames, models or galleries.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::mpsc::SyncSender;
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::control::command::{self, CommandError};
use crate::control::socket;
use crate::device::command::{Command, Request};

/// What the keys do, for people.
pub const HELP: &str = "keys: e enroll, y confirm, u undo, n not this, l list, s status, q quit, \
                        : a command such as `enroll my mug` or `rename class-1 cup`";

/// The system has no thread to read keys.
#[derive(Debug, thiserror::Error)]
#[error("no thread to read keys: {0}; commands go through --control")]
pub struct KeysError(io::Error);

/// The terminal, giving every key at once; as it was before when this is dropped.
pub struct Keys {
    before: Termios,
}

impl Keys {
    /// Sends what is typed to `commands`; `None` where standard input is no terminal.
    ///
    /// # Errors
    /// The system has no thread to read them; the terminal is then as it was.
    pub fn listen(commands: SyncSender<Request>) -> Result<Option<Self>, KeysError> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let Ok(before) = tcgetattr(&stdin) else {
            return Ok(None);
        };
        let mut now = before.clone();
        // Ctrl-C stays what it is.
        now.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        if tcsetattr(&stdin, OptionalActions::Now, &now).is_err() {
            return Ok(None);
        }
        // Made before the thread: dropped, it puts the terminal back.
        let keys = Self { before };
        let read = move || {
            let mut errors = io::stderr();
            // Without a terminal there are no more keys, and the loop goes on.
            let _ = writeln!(errors, "{HELP}")
                .and_then(|()| read_keys(io::stdin().lock(), &mut errors, &commands));
        };
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(read)
            .map_err(KeysError)?;
        Ok(Some(keys))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn read_keys(
    mut keys: impl BufRead,
    out: &mut impl Write,
    commands: &SyncSender<Request>,
) -> io::Result<()> {
    loop {
        let mut key = [0];
        if keys.read(&mut key)? == 0 {
            return Ok(());
        }
        let command = match key[0] {
            b'e' => Ok(Command::Enroll {
                name: None,
                even_if_alike: false,
            }),
            b'y' => Ok(Command::Confirm),
            b'u' => Ok(Command::Undo),
            b'n' => Ok(Command::Not { name: None }),
            b'l' => Ok(Command::List),
            b's' => Ok(Command::Status),
            b'q' => Ok(Command::Quit),
            b':' => match typed_line(&mut keys, out)? {
                Some(line) => command::parse(&line),
                None => continue,
            },
            _ => {
                writeln!(out, "{HELP}")?;
                continue;
            }
        };
        writeln!(out, "{}", answer(command, commands))?;
    }
}

/// A line, shown while it is typed; `None` where it is given up with the escape key, or empty.
fn typed_line(keys: &mut impl Read, out: &mut impl Write) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    write!(out, ":")?;
    loop {
        out.flush()?;
        let mut key = [0];
        if keys.read(&mut key)? == 0 {
            return Ok(None);
        }
        match key[0] {
            b'\n' | b'\r' => break,
            0x1b => {
                line.clear();
                break;
            }
            // Backspace, whichever the terminal sends: a character may have several bytes.
            0x08 | 0x7f => {
                let last = |byte: u8| byte & 0xc0 != 0x80;
                while line.pop().is_some_and(|byte| !last(byte)) {}
                write!(out, "\r\x1b[K:{}", String::from_utf8_lossy(&line))?;
            }
            byte if (line.len() as u64) < socket::MAX_LINE_BYTES && byte >= b' ' => {
                line.push(byte);
                out.write_all(&[byte])?;
            }
            _ => {}
        }
    }
    writeln!(out)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    Ok(Some(line).filter(|line| !line.trim().is_empty()))
}

/// What came of a command, for people.
fn answer(command: Result<Command, CommandError>, commands: &SyncSender<Request>) -> String {
    match command {
        Ok(command) => match socket::ask(command, commands) {
            Ok(answer) => serde_json::to_string(&answer).unwrap_or_default(),
            Err(refusal) => refusal.words,
        },
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::answer::Answer;
    use std::sync::mpsc::sync_channel;

    /// The commands that typing makes, and what is shown meanwhile.
    fn typed(keys: &[u8]) -> (Vec<Command>, String) {
        let (sender, commands) = sync_channel::<Request>(8);
        let loop_ = thread::spawn(move || {
            let mut all = Vec::new();
            for request in commands {
                all.push(request.command.clone());
                request.answer(Ok(Answer::Ending { ending: false }));
            }
            all
        });
        let mut out = Vec::new();
        read_keys(keys, &mut out, &sender).unwrap();
        drop(sender);
        (loop_.join().unwrap(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_key_is_a_command_and_a_colon_begins_a_line() {
        let (commands, shown) = typed("eu:enrl\x7f\x7froll Zoë's mugg\u{7f}\nq".as_bytes());
        let named = Command::Enroll {
            name: Some("Zoë's mug".to_owned()),
            even_if_alike: false,
        };
        assert_eq!(commands.len(), 4);
        assert_eq!((&commands[1], &commands[2]), (&Command::Undo, &named));
        assert_eq!(commands[3], Command::Quit);
        assert!(shown.contains(":enroll Zoë's mug\n"), "{shown:?}");
    }

    #[test]
    fn what_is_no_command_is_told_and_nothing_happens() {
        let (commands, shown) = typed(b"x:nonsense\n:\x1b:forget\n");
        assert_eq!(commands, []);
        assert!(shown.starts_with(HELP));
        assert!(shown.contains("no command") && shown.contains("say it as"));
        // A letter of two bytes goes as one.
        let (commands, _) = typed(":not ë\u{7f}a\n".as_bytes());
        let name = Some("a".to_owned());
        assert_eq!(commands, [Command::Not { name }]);
    }
}
