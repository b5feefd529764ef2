//! What a device can be told while it runs, and who waits for the answer. Knows words: nothing of sockets or frames.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::device::answer::{Answer, Refusal};

/// What a device can be told.
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

/// What a command came to.
pub type Reply = Result<Answer, Refusal>;

/// A command, and who waits for what it came to.
#[derive(Debug)]
pub struct Request {
    pub command: Command,
    answer: Option<Sender<Reply>>,
}

impl Request {
    /// A command whose reply is not wanted, such as that of a button.
    pub fn unanswered(command: Command) -> Self {
        Self {
            command,
            answer: None,
        }
    }

    /// A command, and where its reply will come. The receiver is cut off where no reply comes.
    pub fn answered(command: Command) -> (Self, Receiver<Reply>) {
        let (answer, reply) = channel();
        let answer = Some(answer);
        (Self { command, answer }, reply)
    }

    /// Sends the reply to the one who waits for it, if anyone does.
    pub fn answer(self, reply: Reply) {
        if let Some(answer) = self.answer {
            // A client that has gone away misses nothing.
            let _ = answer.send(reply);
        }
    }
}
