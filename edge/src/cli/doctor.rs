//! Looks at everything that the program needs on this machine and says what to do about what is missing.
//! Never fails itself: what cannot be found out is a finding.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::camera::nodes;
use crate::cli::NEEDS_ATTENTION;
use crate::cli::open::Common;
use crate::gallery::store::Store;
use crate::kernel::{self, Isa};
use crate::model::{self, Model, ModelError};

/// Below this much room at the gallery's place enrolling will fail before long.
const LITTLE_ROOM_BYTES: u64 = 64 << 20;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at: `program`, `processor`, `camera`, `model`, `gallery` or `disk`.
    pub topic: &'static str,
    /// Whether nothing needs to be done about it.
    pub well: bool,
    /// What was found.
    pub found: String,
    /// What to do; none where it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn well(topic: &'static str, found: impl Into<String>) -> Self {
        Self {
            topic,
            well: true,
            found: found.into(),
            advice: None,
        }
    }

    fn ill(topic: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            topic,
            well: false,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.well { "ok" } else { "!!" };
        write!(f, "{sign}  {:<9}  {}", self.topic, self.found)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{:15}{advice}", ""),
            None => Ok(()),
        }
    }
}

/// Everything, in the order in which one would mend it. `model` is what came of opening it, `model_bytes` its size
/// where it is known.
pub fn examine(
    model: &Result<Model, ModelError>,
    model_bytes: Option<u64>,
    gallery: &Path,
) -> Vec<Finding> {
    let mut findings = vec![program(), processor()];
    findings.extend(cameras(Path::new(nodes::LISTED), Path::new("/dev")));
    findings.push(match model {
        Ok(model) => well_model(model, model_bytes),
        Err(ModelError::Kernel(refusal)) => Finding::ill(
            "model",
            refusal.to_string(),
            "no model opens before that is mended",
        ),
        Err(error) => Finding::ill(
            "model",
            error.to_string(),
            "name another one with --model, or leave --model out: one ships with the program",
        ),
    });
    findings.push(gallery_at(gallery, model.as_ref().ok()));
    findings.push(disk(gallery));
    findings
}

fn program() -> Finding {
    let cameras = if cfg!(feature = "v4l2") {
        "with"
    } else {
        "without"
    };
    let found = format!(
        "onelook-edge {} for {}, {cameras} V4L2 cameras",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    Finding::well("program", found)
}

fn processor() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let has = Isa::here().map(Isa::name).collect::<Vec<_>>().join(", ");
    match kernel::chosen() {
        Ok(isa) => Finding::well(
            "processor",
            format!("{cores} cores; kernels for {has}; in use: {isa}"),
        ),
        Err(refusal) => Finding::ill(
            "processor",
            refusal.to_string(),
            "every other command stops at that",
        ),
    }
}

/// The cameras that the kernel lists in `listed`, as devices in `devices`.
fn cameras(listed: &Path, devices: &Path) -> Vec<Finding> {
    let numbered = nodes::listed(listed);
    if numbered.is_empty() {
        let helpers = ["rpicam-vid", "libcamera-vid", "gst-launch-1.0", "ffmpeg"];
        let there: Vec<&str> = helpers
            .into_iter()
            .filter(|program| on_path(program))
            .collect();
        let there = if there.is_empty() {
            String::new()
        } else {
            format!("; {} could read one for exec:", there.join(", "))
        };
        return vec![Finding::ill(
            "camera",
            format!("no V4L2 camera{there}"),
            "plug one in; a ribbon-cable camera is read by exec:\"rpicam-vid -t 0 -n --codec mjpeg -o -\", a remote one \
             by http://HOST/PATH",
        )];
    }
    let mut findings = Vec::new();
    for (number, entry) in numbered {
        let name = fs::read_to_string(entry.join("name")).unwrap_or_default();
        let device = devices.join(format!("video{number}"));
        findings.push(camera(&device, name.trim()));
    }
    // A camera has nodes for other ends beside the one for pictures.
    if findings.iter().all(|finding| finding.well) && !findings.iter().any(gives_pictures) {
        findings.push(Finding::ill(
            "camera",
            "no device gives pictures that this program reads",
            "a raw sensor is read by its own program: exec:\"rpicam-vid -t 0 -n --codec mjpeg -o -\"",
        ));
    }
    findings
}

fn gives_pictures(finding: &Finding) -> bool {
    finding.found.contains(": use ")
}

fn camera(device: &Path, name: &str) -> Finding {
    let shown = device.display();
    match File::options().read(true).write(true).open(device) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Finding::ill(
                "camera",
                format!("{shown} ({name}): not permitted"),
                "put the user into the group video (`sudo usermod -aG video $USER`), then log in again",
            );
        }
        Err(error) => {
            return Finding::ill(
                "camera",
                format!("{shown} ({name}): {error}"),
                "the kernel lists it: unplug it and plug it in again; in a container, pass the device in",
            );
        }
        Ok(_) => {}
    }
    formats(device, name)
}

#[cfg(feature = "v4l2")]
fn formats(device: &Path, name: &str) -> Finding {
    let shown = device.display();
    match crate::camera::v4l2::formats(device) {
        Ok(formats) if formats.is_empty() => Finding::well(
            "camera",
            format!("{shown} ({name}): no format that this program reads"),
        ),
        Ok(formats) => {
            let formats = formats.join("; ");
            Finding::well(
                "camera",
                format!("{shown} ({name}): use v4l2:{shown}; {formats}"),
            )
        }
        Err(error) => Finding::well("camera", format!("{shown} ({name}): {error}")),
    }
}

#[cfg(not(feature = "v4l2"))]
fn formats(device: &Path, name: &str) -> Finding {
    Finding::ill(
        "camera",
        format!(
            "{} ({name}): there, but this program was built without V4L2",
            device.display()
        ),
        "install libclang-dev and build it with --features v4l2, or read it by \
         exec:\"ffmpeg -loglevel error -f v4l2 -i /dev/video0 -c:v mjpeg -f mjpeg -\"",
    )
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn well_model(model: &Model, bytes: Option<u64>) -> Finding {
    let (card, id) = (model.card(), model.id());
    let size = bytes.map_or(String::new(), |bytes| format!("{bytes} bytes, "));
    let colours = if card.input.channels == 1 {
        "grey"
    } else {
        "colour"
    };
    let id = id.get(..12).unwrap_or(id);
    Finding::well(
        "model",
        format!(
            "{}: {size}{side}x{side} {colours} to {} numbers, {id}",
            card.name,
            model.dims(),
            side = card.input.side_px
        ),
    )
}

fn gallery_at(path: &Path, model: Option<&Model>) -> Finding {
    let shown = path.display();
    if !path.exists() {
        return Finding::well(
            "gallery",
            format!("none at {shown} yet: the first `enroll` makes it"),
        );
    }
    let store = Store::at(path);
    let Some(model) = model else {
        return match store.contents() {
            Ok(_) => Finding::well("gallery", format!("{shown}: opens")),
            Err(error) => Finding::ill("gallery", error.to_string(), AS_IT_SAYS),
        };
    };
    match store.gallery(model.id(), model.dims()) {
        Ok(gallery) => {
            let classes = gallery.names().count();
            Finding::well(
                "gallery",
                format!("{shown}: {classes} classes of this model"),
            )
        }
        Err(error) => Finding::ill("gallery", error.to_string(), AS_IT_SAYS),
    }
}

const AS_IT_SAYS: &str = "nothing is lost: do as it says";

/// Room and the right to write where the gallery is or will be.
fn disk(gallery: &Path) -> Finding {
    let place = gallery
        .parent()
        .into_iter()
        .flat_map(Path::ancestors)
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        })
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."));
    let shown = place.display();
    if let Err(error) = tempfile::tempfile_in(place) {
        return Finding::ill(
            "disk",
            format!("{shown}: cannot be written: {error}"),
            "name a gallery elsewhere with --gallery, or give this user the right to write there",
        );
    }
    match rustix::fs::statvfs(place) {
        Err(error) => Finding::well(
            "disk",
            format!("{shown}: can be written; how much room is unknown ({error})"),
        ),
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize);
            let found = format!("{shown}: can be written, {} MiB free", free >> 20);
            if free < LITTLE_ROOM_BYTES {
                return Finding::ill(
                    "disk",
                    found,
                    "make room: a class needs up to a few hundred KiB",
                );
            }
            Finding::well("disk", found)
        }
    }
}

/// The verb. Nothing is opened before: that it does not open is what it is for.
pub(super) fn run(common: &Common, out: &mut dyn Write) -> io::Result<ExitCode> {
    let bytes = match &common.model {
        Some(path) => fs::metadata(path).map(|about| about.len()).ok(),
        None => Some(model::SHIPPED.len() as u64),
    };
    let findings = examine(&common.load_model(), bytes, common.store().path());
    for finding in &findings {
        common.print(out, json!(finding), || finding.to_string())?;
    }
    let well = findings.iter().all(|finding| finding.well);
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_ATTENTION)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SHIPPED;

    fn about<'a>(findings: &'a [Finding], topic: &str) -> &'a Finding {
        findings
            .iter()
            .find(|finding| finding.topic == topic)
            .unwrap()
    }

    #[test]
    fn a_fresh_machine_is_well_but_for_its_camera() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::from_bytes(SHIPPED, "the shipped model");
        let findings = examine(
            &model,
            Some(SHIPPED.len() as u64),
            &folder.path().join("new/deeper/g.redb"),
        );
        for topic in ["program", "processor", "model", "gallery", "disk"] {
            assert!(about(&findings, topic).well, "{}", about(&findings, topic));
        }
        let size = format!("{} bytes", SHIPPED.len());
        assert!(about(&findings, "model").found.contains(&size));
        assert!(
            about(&findings, "gallery")
                .found
                .contains("the first `enroll` makes it")
        );
        assert!(
            !folder.path().join("new").exists(),
            "nothing is made by looking"
        );
    }

    #[test]
    fn whatever_is_ill_has_an_advice() {
        let folder = tempfile::tempdir().unwrap();
        let gallery = folder.path().join("g.redb");
        fs::write(&gallery, b"no gallery").unwrap();
        let broken = Model::from_bytes(b"no model", "mine.onnx");
        for model in [Model::from_bytes(SHIPPED, "the shipped model"), broken] {
            let findings = examine(&model, None, &gallery);
            assert!(!about(&findings, "gallery").well);
            assert_eq!(about(&findings, "model").well, model.is_ok());
            for finding in &findings {
                assert_eq!(finding.well, finding.advice.is_none(), "{finding}");
            }
        }
        assert_eq!(fs::read(&gallery).unwrap(), b"no gallery");
    }

    #[test]
    fn cameras_are_listed_by_number_with_what_hinders_them() {
        let folder = tempfile::tempdir().unwrap();
        let (listed, nodes) = (folder.path().join("listed"), folder.path().join("nodes"));
        fs::create_dir(&nodes).unwrap();
        assert!(
            cameras(&listed, &nodes)[0]
                .found
                .starts_with("no V4L2 camera")
        );
        for name in ["video10", "video2", "v4l-subdev0"] {
            fs::create_dir_all(listed.join(name)).unwrap();
            fs::write(listed.join(name).join("name"), format!("Cam {name}\n")).unwrap();
        }
        fs::write(nodes.join("video2"), b"").unwrap();
        let findings = cameras(&listed, &nodes);
        assert!(
            findings[0].found.contains("video2 (Cam video2)"),
            "{}",
            findings[0]
        );
        assert!(
            findings[1]
                .found
                .contains("video10 (Cam video10): No such file")
        );
        assert!(!findings[1].well);
    }
}
