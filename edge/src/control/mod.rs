//! Commands for the running loop, and the socket that they come by: one line each, one line of JSON
//! back. Knows words and sockets: nothing of frames, models or galleries.
//!
//! | line | what happens |
//! |---|---|
//! | `enroll NAME`, `enroll` | the thing that is shown becomes the class NAME, or the next `class-N` |
//! | `enroll! NAME` | the same, even where it looks like another class |
//! | `confirm` | keeps what was held back because it looks like another class |
//! | `undo` | takes back the last change, or lets go of what was held back |
//! | `not NAME`, `not` | what is shown is not NAME, or not what it is taken for |
//! | `forget NAME` | the class is forgotten |
//! | `rename A B` | class A is called B |
//! | `list`, `status` | the classes; how it goes |
//! | `quit` | the program ends |
//!
//! A name goes to the end of the line, or is a JSON string: `rename "my mug" "cup 2"`.

pub mod button;
pub mod gpio;
pub mod keys;

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// The longest line that is read, in bytes: a command and two names.
pub const MAX_LINE_BYTES: u64 = 2048;
/// So many clients are served at a time.
pub const MAX_CLIENTS: usize = 16;
/// How long a client waits for its answer before it is told that none came.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the loop can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Learn what is shown.
    Enroll {
        /// The class; the next free `class-N` otherwise.
        name: Option<String>,
        /// Also where it looks like another class.
        even_if_alike: bool,
    },
    /// Keep what was held back.
    Confirm,
    /// Take back the last change.
    Undo,
    /// What is shown is not this class.
    Not {
        /// The class; what is shown is taken for it otherwise.
        name: Option<String>,
    },
    /// Forget a class.
    Forget {
        /// The class.
        name: String,
    },
    /// Call a class something else.
    Rename {
        /// The class.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Which classes are there?
    List,
    /// How does it go?
    Status,
    /// End the program.
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such word.
    #[error(
        "{0:?}: no command; there are enroll, enroll!, confirm, undo, not, forget, rename, list, \
         status and quit"
    )]
    Unknown(String),
    /// Too few or too many words.
    #[error("{word}: say it as `{usage}`")]
    Words {
        /// The command.
        word: &'static str,
        /// How it is said.
        usage: &'static str,
    },
}

impl Command {
    /// The command that a line holds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let name = |word, usage| match whole_name(rest) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(CommandError::Words { word, usage }),
        };
        let alone = |word, command| match rest {
            "" => Ok(command),
            _ => Err(CommandError::Words { word, usage: word }),
        };
        Ok(match word {
            "enroll" | "enroll!" => Self::Enroll {
                name: match rest {
                    "" => None,
                    _ => Some(name("enroll", "enroll NAME")?),
                },
                even_if_alike: word == "enroll!",
            },
            "not" => Self::Not {
                name: match rest {
                    "" => None,
                    _ => Some(name("not", "not NAME")?),
                },
            },
            "forget" => Self::Forget {
                name: name("forget", "forget NAME")?,
            },
            "rename" => {
                let usage = || CommandError::Words {
                    word: "rename",
                    usage: "rename A B",
                };
                let (from, rest) = first_name(rest).ok_or_else(usage)?;
                let to = whole_name(rest.trim_start()).ok_or_else(usage)?;
                if from.is_empty() || to.is_empty() {
                    return Err(usage());
                }
                Self::Rename { from, to }
            }
            "confirm" => alone("confirm", Self::Confirm)?,
            "undo" => alone("undo", Self::Undo)?,
            "list" => alone("list", Self::List)?,
            "status" => alone("status", Self::Status)?,
            "quit" => alone("quit", Self::Quit)?,
            _ => return Err(CommandError::Unknown(word.to_owned())),
        })
    }
}

/// A JSON string, or a word; and what comes after it.
fn first_name(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let name = strings.next()?.ok()?;
        return Some((name, &text[strings.byte_offset()..]));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Some((text[..end].to_owned(), &text[end..]))
}

/// A JSON string, or all of the text.
fn whole_name(text: &str) -> Option<String> {
    if text.starts_with('"') {
        let (name, rest) = first_name(text)?;
        return rest.trim().is_empty().then_some(name);
    }
    Some(text.trim_end().to_owned())
}

/// What a command came to: the fields of its answer, or why it was not done.
pub type Reply = Result<Value, Refusal>;

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// One stable word: see [`crate::event`].
    pub reason: String,
    /// For people, with the way out.
    pub words: String,
}

/// A command, and who waits for what it came to.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    answer: Option<Sender<Reply>>,
}

impl Request {
    /// A command that nobody waits for, such as that of a button.
    pub fn unanswered(command: Command) -> Self {
        Self {
            command,
            answer: None,
        }
    }

    /// A command, and where its reply will come. The receiver is cut off where there is none.
    pub fn answered(command: Command) -> (Self, Receiver<Reply>) {
        let (answer, reply) = channel();
        let answer = Some(answer);
        (Self { command, answer }, reply)
    }

    /// Tells who waits, if anybody does.
    pub fn answer(self, reply: Reply) {
        if let Some(answer) = self.answer {
            // Who went away does not want to know.
            let _ = answer.send(reply);
        }
    }
}

/// The line for a reply: `{"ok":true,...}` or `{"ok":false,"reason":...,"error":...}`.
pub fn line(reply: &Reply) -> String {
    match reply {
        Ok(Value::Object(fields)) => {
            let mut line = json!({ "ok": true });
            if let Value::Object(all) = &mut line {
                all.extend(fields.clone());
            }
            line.to_string()
        }
        Ok(value) => json!({ "ok": true, "value": value }).to_string(),
        Err(Refusal { reason, words }) => {
            json!({ "ok": false, "reason": reason, "error": words }).to_string()
        }
    }
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The system refused.
    #[error("{path:?}: no control socket can be made there: {source}; name another --control")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program answers there.
    #[error("{path:?}: another program answers there; end it, or name another --control")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// It would overwrite a file.
    #[error("{path:?}: is there already and no socket; name another --control")]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
}

/// A socket that takes commands; it is gone when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ends: AtomicBool,
    clients: Mutex<Vec<(u64, UnixStream)>>,
}

impl Shared {
    fn clients(&self) -> std::sync::MutexGuard<'_, Vec<(u64, UnixStream)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Listens at `path` for the user of this program alone; what clients say goes to `commands`.
    ///
    /// # Errors
    /// Every [`ControlError`].
    pub fn listen(path: &Path, commands: SyncSender<Request>) -> Result<Self, ControlError> {
        let refused = |source| ControlError::Refused {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ControlError::NoSocket {
                    path: path.to_owned(),
                });
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(ControlError::InUse {
                    path: path.to_owned(),
                });
            }
            // What a killed program left behind.
            Ok(_) => fs::remove_file(path).map_err(refused)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        // Nobody else may connect in the moment before it is closed to them.
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let private = tempfile::Builder::new()
            .prefix(".control-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(folder)
            .map_err(refused)?;
        let first = private.path().join("s");
        let listener = UnixListener::bind(&first).map_err(refused)?;
        fs::set_permissions(&first, Permissions::from_mode(0o600)).map_err(refused)?;
        fs::rename(&first, path).map_err(refused)?;
        let shared = Arc::new(Shared::default());
        let listening = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || listen(&listener, &shared, &commands))
        };
        Ok(Self {
            path: path.to_owned(),
            shared,
            listening: Some(listening),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // Wakes the listener, who then sees that it is over.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
        for (_, client) in self.shared.clients().iter() {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn listen(listener: &UnixListener, shared: &Arc<Shared>, commands: &SyncSender<Request>) {
    for (number, client) in (0..).zip(listener.incoming()) {
        if shared.ends.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut client) = client else {
            // Out of file descriptors: others will be closed.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let Ok(known) = client.try_clone() else {
            continue;
        };
        {
            let mut clients = shared.clients();
            if clients.len() >= MAX_CLIENTS {
                let words = format!("{MAX_CLIENTS} clients are here already; try again later");
                let _ = writeln!(client, "{}", line(&Err(refusal("busy", words))));
                continue;
            }
            clients.push((number, known));
        }
        let (shared, commands) = (Arc::clone(shared), commands.clone());
        thread::spawn(move || {
            // A client that goes away in the middle is no trouble of ours.
            let _ = serve(&client, &commands);
            shared.clients().retain(|(other, _)| *other != number);
        });
    }
}

fn serve(client: &UnixStream, commands: &SyncSender<Request>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut client = client;
    loop {
        let mut said = Vec::new();
        let limit = MAX_LINE_BYTES + 1;
        reader.by_ref().take(limit).read_until(b'\n', &mut said)?;
        if said.is_empty() {
            return Ok(());
        }
        // What was cut off may have meant something else.
        if said.last() != Some(&b'\n') {
            let words = format!("the line does not end within {MAX_LINE_BYTES} bytes");
            return writeln!(client, "{}", line(&Err(refusal("bad_command", words))));
        }
        let reply = match std::str::from_utf8(&said) {
            Ok(said) if said.trim().is_empty() => continue,
            Ok(said) => Command::parse(said)
                .map_err(|error| refusal("bad_command", error.to_string()))
                .and_then(|command| ask(command, commands)),
            Err(_) => Err(refusal("bad_command", "the line is not UTF-8".to_owned())),
        };
        writeln!(client, "{}", line(&reply))?;
    }
}

/// What the loop replies to a command.
///
/// # Errors
/// Its refusal; `busy`, `ended` or `no_answer` where it does not reply.
pub fn ask(command: Command, commands: &SyncSender<Request>) -> Reply {
    let (request, reply) = Request::answered(command);
    let over = || refusal("ended", "the program is ending".to_owned());
    match commands.try_send(request) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            let words = "too many commands wait already; try again".to_owned();
            return Err(refusal("busy", words));
        }
        Err(TrySendError::Disconnected(_)) => return Err(over()),
    }
    match reply.recv_timeout(PATIENCE) {
        Ok(reply) => reply,
        Err(RecvTimeoutError::Disconnected) => Err(over()),
        Err(RecvTimeoutError::Timeout) => Err(refusal(
            "no_answer",
            "no answer came; see `status`".to_owned(),
        )),
    }
}

fn refusal(reason: &str, words: String) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        words,
    }
}

/// Sends one line to the socket at `path` and gives the line that comes back.
///
/// # Errors
/// What the system said: nobody listens there, or nobody answered.
pub fn tell(path: &Path, said: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(1)))?;
    match writeln!(stream, "{said}") {
        // Who is turned away is told why before it has spoken.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn enroll(name: Option<&str>) -> Command {
        Command::Enroll {
            name: name.map(str::to_owned),
            even_if_alike: false,
        }
    }

    #[test]
    fn a_line_is_a_command_and_its_names_may_have_spaces() {
        let parsed = |line| Command::parse(line).unwrap();
        assert_eq!(parsed("enroll"), enroll(None));
        assert_eq!(parsed("  enroll  my mug \r\n"), enroll(Some("my mug")));
        assert_eq!(parsed(r#"enroll "a \"b\"""#), enroll(Some("a \"b\"")));
        let Command::Enroll { even_if_alike, .. } = parsed("enroll! cup") else {
            panic!("no enroll")
        };
        assert!(even_if_alike);
        let rename = |from: &str, to: &str| Command::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        assert_eq!(parsed("rename a b c"), rename("a", "b c"));
        assert_eq!(parsed(r#"rename "a b" "c""#), rename("a b", "c"));
        assert_eq!(parsed("not"), Command::Not { name: None });
        assert_eq!(parsed("quit\n"), Command::Quit);
    }

    #[test]
    fn a_line_that_is_no_command_is_refused_with_the_way_out() {
        for line in [
            "",
            "enrol x",
            "forget",
            "rename a",
            "rename",
            "list all",
            r#"enroll "a"#,
            r#"enroll "a" b"#,
            r#"forget """#,
        ] {
            let error = Command::parse(line).unwrap_err().to_string();
            assert!(error.contains("there are") || error.contains("say it as"));
        }
    }

    /// A loop that answers `list` with how many commands it had, until it is told to quit.
    fn answering() -> (tempfile::TempDir, PathBuf, Control, JoinHandle<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (sender, commands) = sync_channel::<Request>(8);
        let control = Control::listen(&path, sender).unwrap();
        let loop_ = thread::spawn(move || {
            let mut count = 0;
            for request in commands {
                count += 1;
                let is_quit = request.command == Command::Quit;
                request.answer(Ok(json!({ "count": count })));
                if is_quit {
                    break;
                }
            }
            count
        });
        (folder, path, control, loop_)
    }

    #[test]
    fn every_line_has_its_answer_and_clients_do_not_wait_for_one_another() {
        let (_folder, path, control, loop_) = answering();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // One that says nothing, and one that goes away in the middle of a line.
        let silent = UnixStream::connect(&path).unwrap();
        write!(UnixStream::connect(&path).unwrap(), "enroll ha").unwrap();
        assert_eq!(tell(&path, "list").unwrap(), r#"{"count":1,"ok":true}"#);
        let mut talker = UnixStream::connect(&path).unwrap();
        talker.write_all(b"status\n\nnonsense\nlist\n").unwrap();
        let mut lines = BufReader::new(&talker).lines().map_while(Result::ok);
        assert_eq!(lines.next().unwrap(), r#"{"count":2,"ok":true}"#);
        assert!(lines.next().unwrap().contains("bad_command"));
        assert_eq!(lines.next().unwrap(), r#"{"count":3,"ok":true}"#);
        let long = "x".repeat(MAX_LINE_BYTES as usize + 9);
        assert!(tell(&path, &long).unwrap().contains("bad_command"));
        tell(&path, "quit").unwrap();
        assert!(tell(&path, "list").unwrap().contains("ended"));
        assert_eq!(loop_.join().unwrap(), 4);
        drop(control);
        assert!(!path.exists());
        assert_eq!((&silent).read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn more_clients_than_can_be_served_are_told_so() {
        let (_folder, path, _control, _loop) = answering();
        let clients: Vec<UnixStream> = (0..MAX_CLIENTS)
            .map(|_| {
                let client = UnixStream::connect(&path).unwrap();
                writeln!(&client, "list").unwrap();
                let mut line = String::new();
                BufReader::new(&client).read_line(&mut line).unwrap();
                client
            })
            .collect();
        assert!(tell(&path, "list").unwrap().contains("busy"));
        drop(clients);
        let served = || tell(&path, "list").is_ok_and(|line| line.contains("count"));
        assert!((0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            served()
        }));
    }

    #[test]
    fn what_a_killed_program_left_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (sender, _commands) = sync_channel(1);
        let control = Control::listen(&path, sender.clone()).unwrap();
        let second = Control::listen(&path, sender.clone()).unwrap_err();
        assert!(matches!(second, ControlError::InUse { .. }));
        drop(control);
        fs::write(&path, "mine").unwrap();
        let error = Control::listen(&path, sender.clone()).unwrap_err();
        assert!(matches!(error, ControlError::NoSocket { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let nowhere = folder.path().join("no/s");
        let error = Control::listen(&nowhere, sender).unwrap_err();
        assert!(matches!(error, ControlError::Refused { .. }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
