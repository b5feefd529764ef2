//! What `--source` may say, read strictly: what is not understood is an error that says what would be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{CameraError, Wanted};

/// Where frames come from, as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `v4l2:/dev/videoN`; `auto` is none: the first camera there is.
    V4l2(Option<PathBuf>),
    /// `mjpeg:-`: motion JPEG on standard input.
    MjpegStdin,
    /// `y4m:-`: YUV4MPEG2 on standard input.
    Y4mStdin,
    /// `exec:COMMAND`: a child that writes motion JPEG or YUV4MPEG2 to its standard output.
    Exec(Program),
    /// `http://HOST[:PORT]/PATH`: a motion JPEG stream.
    Http(Address),
    /// A folder of pictures, a clip file (motion JPEG or YUV4MPEG2) or a picture.
    Files(PathBuf),
}

/// A program to start, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its path, or a name that is looked for on the path.
    pub name: String,
    /// What it is given.
    pub arguments: Vec<String>,
}

impl Program {
    /// The name and the arguments.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let arguments = self.arguments.iter().map(String::as_str);
        std::iter::once(self.name.as_str()).chain(arguments)
    }
}

/// Where an HTTP server is and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without the brackets of an IPv6 address.
    pub host: String,
    /// 80 where none is given.
    pub port: u16,
    /// Path and query, from the first slash on.
    pub path: String,
}

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing at all.
    #[error("no source; {KNOWN}")]
    Empty,
    /// A prefix that stands for nothing here.
    #[error("{scheme}: is no kind of source; {KNOWN} (a file of such a name is ./{text})")]
    UnknownKind {
        /// What stands before the colon.
        scheme: String,
        /// All of it.
        text: String,
    },
    /// A V4L2 device that is no `/dev/videoN`.
    #[error("v4l2:{device} is no camera; give v4l2:/dev/video0 or the like, or auto")]
    NoDevice {
        /// What was named.
        device: String,
    },
    /// A stream that only comes from standard input.
    #[error(
        "{kind}:{rest} is not understood; {kind}:- reads standard input, and a clip file is named by its path alone"
    )]
    NotStdin {
        /// `mjpeg` or `y4m`.
        kind: &'static str,
        /// What was named.
        rest: String,
    },
    /// A command that is empty or has a quote without an end.
    #[error(
        "exec:{command} is no command ({reason}); quote words as a shell does, such as exec:\"rpicam-vid -t 0 -n --codec mjpeg -o -\""
    )]
    NoCommand {
        /// What was given.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A web address that is not plain HTTP.
    #[error("{address} is not read by this program ({reason}); {way_out}")]
    NoServer {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What to do.
        way_out: &'static str,
    },
}

const KNOWN: &str = "give auto, v4l2:/dev/videoN, mjpeg:-, y4m:-, exec:COMMAND, http://HOST/PATH, or \
                     the path of a folder of pictures or of a clip";
/// curl follows, encrypts and signs on, and the pictures are found in what it writes.
const BY_CURL: &str = "let another program fetch it: exec:\"curl -sN ADDRESS\"";
const BY_GSTREAMER: &str = "let another program fetch it: exec:\"gst-launch-1.0 -q rtspsrc location=ADDRESS ! \
                            decodebin ! videoconvert ! jpegenc ! fdsink\"";

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if text == "auto" {
            return Ok(Self::V4l2(None));
        }
        // A kind is a short word before a colon; what has a slash before it is a path.
        let kind = text.split_once(':').filter(|(kind, _)| {
            !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
        });
        let Some((kind, rest)) = kind else {
            return Ok(Self::Files(PathBuf::from(text)));
        };
        match kind {
            "v4l2" => v4l2(rest),
            "mjpeg" if rest == "-" => Ok(Self::MjpegStdin),
            "y4m" if rest == "-" => Ok(Self::Y4mStdin),
            "mjpeg" | "y4m" => Err(SourceError::NotStdin {
                kind: if kind == "y4m" { "y4m" } else { "mjpeg" },
                rest: rest.to_owned(),
            }),
            "exec" => exec(rest),
            "http" => http(text, rest).map(Self::Http),
            "https" => Err(no_server(text, "encrypted", BY_CURL)),
            "rtsp" | "rtmp" | "udp" | "rtp" => {
                Err(no_server(text, "not motion JPEG over HTTP", BY_GSTREAMER))
            }
            _ => Err(SourceError::UnknownKind {
                scheme: kind.to_owned(),
                text: text.to_owned(),
            }),
        }
    }
}

fn v4l2(device: &str) -> Result<Source, SourceError> {
    let number = device.strip_prefix("/dev/video").unwrap_or_default();
    // Names under /dev/v4l/by-id stay with a camera whatever port it is plugged into.
    let lasting = device
        .strip_prefix("/dev/v4l/")
        .is_some_and(|rest| !rest.is_empty());
    if lasting || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(Source::V4l2(Some(PathBuf::from(device))));
    }
    Err(SourceError::NoDevice {
        device: device.to_owned(),
    })
}

fn exec(command: &str) -> Result<Source, SourceError> {
    let no_command = |reason: String| SourceError::NoCommand {
        command: command.to_owned(),
        reason,
    };
    let words = shell_words::split(command).map_err(|error| no_command(error.to_string()))?;
    let mut words = words.into_iter();
    let Some(name) = words.next().filter(|name| !name.is_empty()) else {
        return Err(no_command("it is empty".to_owned()));
    };
    let arguments = words.collect();
    Ok(Source::Exec(Program { name, arguments }))
}

fn http(text: &str, rest: &str) -> Result<Address, SourceError> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(no_server(
            text,
            "no // after http:",
            "give http://HOST/PATH",
        ));
    };
    let (authority, path) = rest
        .find(['/', '?'])
        .map_or((rest, "/"), |at| rest.split_at(at));
    if authority.contains('@') {
        return Err(no_server(
            text,
            "it has a password in it",
            "let another program fetch it: exec:\"curl -sN --anyauth -u USER:PASSWORD ADDRESS\"",
        ));
    }
    // A line break would end the request's line and begin another.
    if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(no_server(
            text,
            "there are blanks in it",
            "write a blank as %20",
        ));
    }
    let no_port = || {
        no_server(
            text,
            "no port from 1 to 65535",
            "give http://HOST:PORT/PATH",
        )
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(no_port)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or_else(no_port)?),
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => 80,
        Some(port) => port
            .parse()
            .ok()
            .filter(|&port| port > 0)
            .ok_or_else(no_port)?,
    };
    if host.is_empty() {
        return Err(no_server(text, "no host in it", "give http://HOST/PATH"));
    }
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Address {
        host: host.to_owned(),
        port,
        path: format!("{slash}{path}"),
    })
}

fn no_server(address: &str, reason: &'static str, way_out: &'static str) -> SourceError {
    SourceError::NoServer {
        address: address.to_owned(),
        reason,
        way_out,
    }
}

impl Source {
    /// An option that does nothing would be a promise broken.
    pub(super) fn refuse_what_it_has_no_use_for(&self, wanted: &Wanted) -> Result<(), CameraError> {
        let camera = matches!(self, Self::V4l2(_));
        let files = matches!(self, Self::Files(_));
        let asked = [
            ("--size", "a v4l2 camera", wanted.size.is_some() && !camera),
            (
                "--fps",
                "files or a v4l2 camera",
                wanted.fps.is_some() && !camera && !files,
            ),
            ("--loop", "files", wanted.looped && !files),
        ];
        match asked.into_iter().find(|(_, _, refused)| *refused) {
            None => Ok(()),
            Some((option, meant, _)) => Err(CameraError::NotForThis {
                option,
                meant,
                source_name: self.to_string(),
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4l2(None) => write!(f, "auto"),
            Self::V4l2(Some(device)) => write!(f, "v4l2:{}", device.display()),
            Self::MjpegStdin => write!(f, "mjpeg:-"),
            Self::Y4mStdin => write!(f, "y4m:-"),
            Self::Exec(program) => write!(f, "exec:{}", shell_words::join(program.words())),
            Self::Http(address) => write!(f, "{address}"),
            Self::Files(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    /// Host and port, as a request names them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        text.parse::<Source>().unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_source_is_read_and_written_as_it_was() {
        for text in [
            "auto",
            "v4l2:/dev/video10",
            "v4l2:/dev/v4l/by-id/usb-cam-index0",
            "mjpeg:-",
            "y4m:-",
            "exec:rpicam-vid -t 0 -o -",
            "http://10.0.0.7:8080/stream?q=1",
            "http://[::1]/",
            "clips/a:b.mjpeg",
            "./odd:name",
            "/a folder",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn a_command_is_split_as_a_shell_would_without_one() {
        let program = Program {
            name: "sh".to_owned(),
            arguments: ["-c", "cat a; $(b)", "c d"].map(str::to_owned).to_vec(),
        };
        assert_eq!(
            read("exec:sh -c 'cat a; $(b)' c\\ d"),
            Source::Exec(program)
        );
        assert!(refused("exec:").contains("it is empty"));
        assert!(refused("exec:  ").contains("it is empty"));
        assert!(refused("exec:a 'b").contains("quote words"));
    }

    #[test]
    fn an_address_has_its_parts() {
        let address = |host: &str, port, path: &str| {
            Source::Http(Address {
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            })
        };
        assert_eq!(read("http://cam"), address("cam", 80, "/"));
        assert_eq!(read("http://cam:81/a?b#c"), address("cam", 81, "/a?b"));
        assert_eq!(read("http://cam?b"), address("cam", 80, "/?b"));
        assert_eq!(read("http://[fe80::1]:82/a"), address("fe80::1", 82, "/a"));
        assert!(refused("http://cam:0/").contains("port"));
        assert!(refused("http://cam:99999/").contains("port"));
        assert!(refused("http://[::1/").contains("port"));
        assert!(refused("http:///a").contains("no host"));
        assert!(refused("http://cam/a\r\nHost: b").contains("%20"));
        assert!(refused("http://me:secret@cam/").contains("curl"));
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        assert!(refused("").contains("exec:COMMAND"));
        assert!(refused("usb:0").contains("(a file of such a name is ./usb:0)"));
        assert!(refused("v4l2:0").contains("v4l2:/dev/video0"));
        assert!(refused("v4l2:/dev/video").contains("v4l2:/dev/video0"));
        assert!(refused("v4l2:").contains("auto"));
        assert!(refused("mjpeg:clip").contains("mjpeg:- reads standard input"));
        assert!(refused("y4m:").contains("y4m:- reads standard input"));
        assert!(refused("https://cam/").contains("curl"));
        assert!(refused("rtsp://cam/").contains("gst-launch-1.0"));
    }

    #[test]
    fn an_option_without_a_use_is_refused_by_name() {
        let wanted = |size, fps, looped| Wanted {
            size,
            fps,
            looped,
            ..Wanted::default()
        };
        let said = |source: &str, wanted: &Wanted| {
            read(source)
                .refuse_what_it_has_no_use_for(wanted)
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(
            said("auto", &wanted(Some((640, 480)), Some(30.0), false)),
            None
        );
        assert_eq!(said("clip", &wanted(None, Some(30.0), true)), None);
        let size = said("mjpeg:-", &wanted(Some((640, 480)), None, false)).unwrap();
        assert_eq!(
            size,
            "--size is for a v4l2 camera; leave it out with mjpeg:-"
        );
        assert!(
            said("exec:a", &wanted(None, Some(1.0), false))
                .unwrap()
                .contains("--fps")
        );
        assert!(
            said("auto", &wanted(None, None, true))
                .unwrap()
                .contains("--loop")
        );
    }
}
