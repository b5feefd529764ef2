//! The lines that commands are written as. Knows words only.
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

use crate::device::command::Command;

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

/// The command that a line holds.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &str) -> Result<Command, CommandError> {
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
        "enroll" | "enroll!" => Command::Enroll {
            name: match rest {
                "" => None,
                _ => Some(name("enroll", "enroll NAME")?),
            },
            even_if_alike: word == "enroll!",
        },
        "not" => Command::Not {
            name: match rest {
                "" => None,
                _ => Some(name("not", "not NAME")?),
            },
        },
        "forget" => Command::Forget {
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
            Command::Rename { from, to }
        }
        "confirm" => alone("confirm", Command::Confirm)?,
        "undo" => alone("undo", Command::Undo)?,
        "list" => alone("list", Command::List)?,
        "status" => alone("status", Command::Status)?,
        "quit" => alone("quit", Command::Quit)?,
        _ => return Err(CommandError::Unknown(word.to_owned())),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn enroll(name: Option<&str>) -> Command {
        Command::Enroll {
            name: name.map(str::to_owned),
            even_if_alike: false,
        }
    }

    #[test]
    fn a_line_is_a_command_and_its_names_may_have_spaces() {
        let parsed = |line| parse(line).unwrap();
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
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains("there are") || error.contains("say it as"));
        }
    }
}
