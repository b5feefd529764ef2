//! Galleries of the first format: plain redb files whose records carry a checksum each. They are read,
//! and become one of the present format when they are first changed.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::pages::digest;
use super::{Kind, Rows, Template};

/// What such a file begins with.
pub const MAGIC: [u8; 4] = *b"redb";

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// By order of enrollment: name and embedding, sealed.
const TEMPLATES: TableDefinition<u64, &[u8]> = TableDefinition::new("templates");
/// By the same number: the PNG of the crop, sealed.
const CROPS: TableDefinition<u64, &[u8]> = TableDefinition::new("crops");

/// All there is, crops where they are asked for.
///
/// # Errors
/// What redb says, and `Corrupted` where a checksum does not hold.
pub fn read(database: &Database, with_crops: bool) -> Result<Rows, redb::Error> {
    let broken = || redb::Error::Corrupted("a record's checksum does not hold".to_owned());
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let property = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    let crops = with_crops
        .then(|| transaction.open_table(CROPS))
        .transpose()?;
    let mut templates = Vec::new();
    for row in transaction.open_table(TEMPLATES)?.iter()? {
        let (key, sealed) = row?;
        let number = key.value();
        let (name, embedding) = unseal(number, sealed.value())
            .and_then(unpack)
            .ok_or_else(broken)?;
        let crop_png = match &crops {
            Some(crops) => {
                let sealed = crops.get(number)?.ok_or_else(broken)?;
                let crop = unseal(number, sealed.value()).ok_or_else(broken)?;
                crop.to_vec()
            }
            None => Vec::new(),
        };
        let template = Template {
            name,
            embedding,
            crop_png,
            kind: Kind::Genuine,
        };
        templates.push((number, template));
    }
    Ok(Rows {
        format: property("format")?,
        model: property("model")?,
        templates,
    })
}

/// Name length (2 bytes), name, embedding; little-endian.
fn unpack(bytes: &[u8]) -> Option<(String, Vec<f32>)> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (name, numbers) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((name, super::floats(numbers)?))
}

fn unseal(number: u64, sealed: &[u8]) -> Option<&[u8]> {
    let (bytes, found) = sealed.split_last_chunk::<8>()?;
    (digest(number, bytes) == *found).then_some(bytes)
}
