//! The tables in a gallery's file, and the bytes of their rows. Knows redb and templates: nothing of files.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{Kind, Template};

pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// By class and order of enrollment: the kind of record, 1 byte, and the embedding, little-endian.
pub(super) const TEMPLATES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("templates");
/// By order of enrollment: the PNG of the crop.
pub(super) const CROPS: TableDefinition<u64, &[u8]> = TableDefinition::new("crops");

pub(super) const FORMAT: &str = "2";
/// The kind of a template of a class.
const TEMPLATE: u8 = 0;
/// The kind of a negative one.
const NEGATIVE: u8 = 1;

/// What the tables hold.
pub(super) struct Rows {
    pub format: Option<String>,
    pub model: Option<String>,
    /// By number, which is the order of enrollment.
    pub templates: Vec<(u64, Template)>,
}

pub(super) fn rows(database: &Database, with_crops: bool) -> Result<Rows, redb::Error> {
    let transaction = database.begin_read()?;
    let (format, model) = properties(&transaction.open_table(META)?)?;
    let mut templates = templates_in(&transaction.open_table(TEMPLATES)?)?;
    if with_crops {
        let crops = transaction.open_table(CROPS)?;
        for (number, template) in &mut templates {
            let crop = crops
                .get(*number)?
                .ok_or_else(|| corrupted("a crop is missing"))?;
            template.crop_png = crop.value().to_vec();
        }
    }
    Ok(Rows {
        format,
        model,
        templates,
    })
}

/// Format and model.
pub(super) fn properties(
    meta: &impl ReadableTable<&'static str, &'static str>,
) -> Result<(Option<String>, Option<String>), redb::Error> {
    let property = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    Ok((property("format")?, property("model")?))
}

/// By number, without crops.
pub(super) fn templates_in(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
) -> Result<Vec<(u64, Template)>, redb::Error> {
    let mut templates = Vec::new();
    for row in table.iter()? {
        let (key, record) = row?;
        let (name, number) = key.value();
        let (kind, embedding) = unpack(record.value())?;
        let template = Template {
            name: name.to_owned(),
            embedding,
            crop_png: Vec::new(),
            kind,
        };
        templates.push((number, template));
    }
    templates.sort_unstable_by_key(|(number, _)| *number);
    Ok(templates)
}

pub(super) fn put(
    transaction: &WriteTransaction,
    first: u64,
    templates: &[Template],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(TEMPLATES)?;
    let mut crops = transaction.open_table(CROPS)?;
    for (number, template) in (first..).zip(templates) {
        let mut record = vec![match template.kind {
            Kind::Genuine => TEMPLATE,
            Kind::Negative => NEGATIVE,
        }];
        record.extend(template.embedding.iter().flat_map(|v| v.to_le_bytes()));
        table.insert((&*template.name, number), record.as_slice())?;
        crops.insert(number, template.crop_png.as_slice())?;
    }
    Ok(())
}

/// Takes a class out of the table: the number and record of each template.
pub(super) fn take(
    transaction: &WriteTransaction,
    name: &str,
) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
    let mut table = transaction.open_table(TEMPLATES)?;
    let mut taken = Vec::new();
    for row in table.extract_from_if((name, 0)..=(name, u64::MAX), |_, _| true)? {
        let (key, record) = row?;
        taken.push((key.value().1, record.value().to_vec()));
    }
    Ok(taken)
}

pub(super) fn unpack(record: &[u8]) -> Result<(Kind, Vec<f32>), redb::Error> {
    let (kind, numbers) = match record.split_first() {
        Some((&TEMPLATE, numbers)) => (Kind::Genuine, numbers),
        Some((&NEGATIVE, numbers)) => (Kind::Negative, numbers),
        _ => {
            return Err(corrupted(
                "a record of a kind that this version does not know",
            ));
        }
    };
    let embedding = floats(numbers).ok_or_else(|| corrupted("a record of no numbers"))?;
    Ok((kind, embedding))
}

/// Little-endian.
fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    Some(
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    )
}

fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}
