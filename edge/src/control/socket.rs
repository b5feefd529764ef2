//! The socket that commands come by: one line each, one line of JSON back. Knows words and sockets: nothing of
//! frames, models or galleries.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::control::command;
use crate::device::answer::{self, Answer};
use crate::device::command::{Command, Request};

/// The longest line that is read, in bytes: a command and two names.
pub const MAX_LINE_BYTES: u64 = 2048;
/// How many clients are served at a time, at most.
pub const MAX_CLIENTS: usize = 16;
/// How long a client waits for its answer before it is told that none came.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a line was not obeyed, as it is written: by the device, or because it never came to the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// One stable word: see [`crate::event`].
    pub reason: &'static str,
    /// For people, with the way out.
    pub words: String,
}

impl From<answer::Refusal> for Refusal {
    fn from(refusal: answer::Refusal) -> Self {
        Self {
            reason: refusal.reason(),
            words: refusal.to_string(),
        }
    }
}

/// The line for a reply: `{"ok":true,...}` or `{"ok":false,"reason":...,"error":...}`.
pub fn line(reply: &Result<Answer, Refusal>) -> String {
    let line = match reply {
        Ok(answer) => serde_json::to_value(answer).map(|mut fields| {
            if let Value::Object(fields) = &mut fields {
                fields.insert("ok".to_owned(), Value::Bool(true));
            }
            fields
        }),
        Err(Refusal { reason, words }) => {
            Ok(json!({ "ok": false, "reason": reason, "error": words }))
        }
    };
    // An answer is text and numbers, which JSON can hold.
    line.unwrap_or_default().to_string()
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
    /// The system gives no thread to listen on.
    #[error(
        "no control socket: the system gives no thread ({0}); allow more (TasksMax, ulimit -u)"
    )]
    NoThread(#[source] io::Error),
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

    /// The connection of a client that is served no longer.
    fn forget(&self, number: u64) -> Option<UnixStream> {
        let mut clients = self.clients();
        let at = clients.iter().position(|(other, _)| *other == number)?;
        Some(clients.swap_remove(at).1)
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
        // Made in a private folder, so that no other user can connect before its permissions are set.
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
            let listen = move || listen(&listener, &shared, &commands);
            let listening = thread::Builder::new().name("control".to_owned());
            listening.spawn(listen).map_err(|error| {
                let _ = fs::remove_file(path);
                ControlError::NoThread(error)
            })?
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
        // Wakes the listener, which then sees that it is over.
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
        let served = {
            let (shared, commands) = (Arc::clone(shared), commands.clone());
            move || {
                // A client that goes away in the middle is no trouble of ours.
                let _ = serve(&client, &commands);
                shared.forget(number);
            }
        };
        let thread = thread::Builder::new().name("control client".to_owned());
        if let Err(error) = thread.spawn(served)
            && let Some(mut client) = shared.forget(number)
        {
            let words = format!("the system gives no thread ({error}); try again later");
            let _ = writeln!(client, "{}", line(&Err(refusal("busy", words))));
        }
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
            Ok(said) => command::parse(said)
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
pub fn ask(command: Command, commands: &SyncSender<Request>) -> Result<Answer, Refusal> {
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
        Ok(reply) => reply.map_err(Refusal::from),
        Err(RecvTimeoutError::Disconnected) => Err(over()),
        Err(RecvTimeoutError::Timeout) => Err(refusal(
            "no_answer",
            "no answer came; see `status`".to_owned(),
        )),
    }
}

fn refusal(reason: &'static str, words: String) -> Refusal {
    Refusal { reason, words }
}

/// Sends one line to the socket at `path` and gives the line that comes back.
///
/// # Errors
/// What the system said: no program listens there, or none answered.
pub fn tell(path: &Path, said: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(1)))?;
    match writeln!(stream, "{said}") {
        // A client that is turned away is told why before it has sent its line.
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
    use crate::device::answer::Forgotten;
    use std::sync::mpsc::sync_channel;

    fn counted(count: usize) -> String {
        format!(r#"{{"forgotten":"a","ok":true,"templates":{count}}}"#)
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
                request.answer(Ok(Answer::Forgotten(Forgotten {
                    name: "a".to_owned(),
                    templates: count,
                })));
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
        assert_eq!(tell(&path, "list").unwrap(), counted(1));
        let mut talker = UnixStream::connect(&path).unwrap();
        talker.write_all(b"status\n\nnonsense\nlist\n").unwrap();
        let mut lines = BufReader::new(&talker).lines().map_while(Result::ok);
        assert_eq!(lines.next().unwrap(), counted(2));
        assert!(lines.next().unwrap().contains("bad_command"));
        assert_eq!(lines.next().unwrap(), counted(3));
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
        let served = || tell(&path, "list").is_ok_and(|line| line.contains("forgotten"));
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
