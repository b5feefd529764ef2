//! Which class is it, or none? Searches as `onelook eval --open-set` makes them, by size of the gallery.

use onelook_edge::model::OperatingPoint;

use super::held::HeldOutSet;
use super::intervals::share;
use super::{OpenSetFigures, OpenSetRates, TRIALS};
use crate::measure::openset::{self, Search};

impl HeldOutSet<'_> {
    /// Open-set identification at each of `points`, by gallery size, searched as `onelook eval --open-set` does, but
    /// without classes that trained.
    ///
    /// # Errors
    /// In words, where no gallery leaves a stranger.
    pub(crate) fn open_set(
        &self,
        points: &[OperatingPoint],
    ) -> Result<Vec<OpenSetFigures>, String> {
        let known = self.embeddings.concat();
        let usable = known.iter().filter(|pictures| pictures.len() > 1).count();
        let most = openset::most_enrolled(usable);
        if most == 0 {
            return Err(
                "A gallery needs a held-out class of two pictures, and another such class for a stranger."
                    .to_owned(),
            );
        }
        let sizes = openset::SIZES.into_iter().filter(|&size| size <= most);
        sizes
            .map(|size| self.open_set_of(&known, size, points))
            .collect()
    }

    fn open_set_of(
        &self,
        known: &[openset::ClassEmbeddings],
        gallery: usize,
        points: &[OperatingPoint],
    ) -> Result<OpenSetFigures, String> {
        let spec = openset::SearchSpec {
            shots: 1,
            searches: TRIALS,
            seed: self.seed,
        };
        let searches = openset::searches(known, &[], self.head, gallery, spec)?;
        let tally = |mated: bool, is_wrong: &dyn Fn(&Search) -> bool| {
            let mut tally = vec![[0u64, 0u64]; known.len()];
            for search in searches.iter().filter(|search| search.mated == mated) {
                tally[search.class][0] += 1;
                tally[search.class][1] += u64::from(is_wrong(search));
            }
            tally
        };
        let combinations = self.owner.len() * self.classes.len().saturating_sub(1);
        let rates = points.iter().map(|point| {
            let accepts = |search: &Search| search.p >= point.threshold;
            let strange = tally(false, &accepts);
            let mated = tally(true, &|search| !search.right || !accepts(search));
            OpenSetRates {
                name: point.name.clone(),
                threshold: point.threshold,
                fpir: share(&strange, combinations as u64, self.seed),
                fnir: self.share(&mated),
            }
        });
        Ok(OpenSetFigures {
            gallery,
            rates: rates.collect(),
        })
    }
}
