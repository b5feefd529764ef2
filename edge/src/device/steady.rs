//! Decides over time: frames vote, and what is shown changes when enough of the last ones agree.
//! Knows votes and counts: nothing of pictures, networks or clocks.
//!
//! A frame votes for the nearest class, or for "unknown"; one that shows nothing, or nothing clear,
//! does not vote. An answer stands once [`Rules::needed`] of the last [`Rules::window`] frames voted for
//! it. It then stands until another answer has as many, or until [`Rules::patience`] frames went by
//! without a vote for it: then nothing is shown. So a thing on the edge of the threshold, whose frames
//! vote now for its class and now for "unknown", stays what it was until nearly all of them turn.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How frames become a decision. Log-odds are natural: ln(p / (1 - p)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// How many frames count, the newest ones; 1 to 1000.
    pub window: usize,
    /// How many of them must vote for an answer: more than half of `window`, so that no two can have it.
    pub needed: usize,
    /// After this many frames without a vote for it an answer falls; at least `needed`.
    pub patience: usize,
    /// By how much the nearest class must lead before the next, in log-odds, 0 or more; else the vote is for
    /// "unknown".
    pub lead: f32,
}

impl Rules {
    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let Self { window, needed, .. } = *self;
        if !(1..=1000).contains(&window) {
            return Err(format!("window must be 1 to 1000 frames, not {window}"));
        }
        if needed > window || 2 * needed <= window {
            return Err(format!(
                "needed must be more than half of window ({window}) and no more than it, not {needed}"
            ));
        }
        if self.patience < needed {
            return Err(format!(
                "patience must be at least needed ({needed}), not {}",
                self.patience
            ));
        }
        if !(0.0..=100.0).contains(&self.lead) {
            return Err(format!("lead must be 0 to 100, not {}", self.lead));
        }
        Ok(())
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence<'a> {
    /// Nothing, or nothing clear enough to decide by.
    None,
    /// A thing, and its nearest class; `None` where none is enrolled, or where it is known not to be
    /// that.
    Look(Option<Nearness<'a>>),
}

/// How near the nearest class is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness<'a> {
    pub name: &'a Arc<str>,
    /// Whether it is within the limit.
    pub is_accepted: bool,
    /// Before the next class, in log-odds; infinite where there is none.
    pub lead: f32,
}

/// What is shown, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nothing, or nothing clear.
    #[default]
    Nothing,
    /// A thing of this class.
    Match(Arc<str>),
    /// A thing of no enrolled class.
    Unknown,
}

/// The decision over time.
#[derive(Clone, Debug)]
pub struct Steady {
    rules: Rules,
    /// Of the last frames, the newest at the back; `Nothing` is no vote.
    votes: VecDeque<Shown>,
    shown: Shown,
    /// Frames in a row without a vote for what is shown; where that is nothing, since a thing came.
    unsupported: usize,
    /// Frames in a row without any vote.
    silent: usize,
    took: usize,
}

impl Steady {
    /// Nothing is shown.
    pub fn new(rules: Rules) -> Self {
        Self {
            votes: VecDeque::with_capacity(rules.window),
            rules,
            shown: Shown::Nothing,
            unsupported: 0,
            silent: 0,
            took: 0,
        }
    }

    /// What is shown.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// How many frames it took from the first that showed it to the one that decided so.
    pub fn took(&self) -> usize {
        self.took
    }

    /// Whether the last frame voted for what is shown.
    pub fn is_supported(&self) -> bool {
        self.shown != Shown::Nothing && self.unsupported == 0
    }

    /// Takes a frame's evidence; whether something else is shown now.
    pub fn see(&mut self, evidence: Evidence) -> bool {
        let vote = self.vote(evidence);
        if vote == Shown::Nothing {
            self.silent += 1;
        } else {
            if self.shown == Shown::Nothing && self.silent >= self.rules.patience {
                self.unsupported = 0;
            }
            self.silent = 0;
        }
        self.unsupported += 1;
        if self.votes.len() == self.rules.window {
            self.votes.pop_front();
        }
        self.votes.push_back(vote.clone());
        if vote != Shown::Nothing {
            let count = self.votes.iter().filter(|other| **other == vote).count();
            let is_supported = vote == self.shown;
            if is_supported || count >= self.rules.needed {
                self.took = self.unsupported;
                self.unsupported = 0;
                self.shown = vote;
                return !is_supported;
            }
        }
        let falls = self.shown != Shown::Nothing && self.unsupported >= self.rules.patience;
        if falls {
            self.shown = Shown::Nothing;
        }
        falls
    }

    /// Forgets the votes, as where classes come or go.
    pub fn restart(&mut self) {
        self.votes.clear();
    }

    fn vote(&self, evidence: Evidence) -> Shown {
        match evidence {
            Evidence::None => Shown::Nothing,
            // A tie is broken against us.
            Evidence::Look(Some(nearest))
                if nearest.is_accepted && nearest.lead > 0.0 && nearest.lead >= self.rules.lead =>
            {
                Shown::Match(Arc::clone(nearest.name))
            }
            Evidence::Look(_) => Shown::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            window: 5,
            needed: 3,
            patience: 6,
            lead: 0.5,
        }
    }

    fn look(name: &Arc<str>, is_accepted: bool) -> Evidence<'_> {
        Evidence::Look(Some(Nearness {
            name,
            is_accepted,
            lead: f32::INFINITY,
        }))
    }

    /// Plays frames: `a`, `b` accepted, `u` not, `-` nothing. A letter each: what is
    /// shown after it, `.` where that is nothing.
    fn played(frames: &str) -> String {
        let mut steady = Steady::new(rules());
        let [a, b] = ["a".into(), "b".into()];
        frames
            .chars()
            .map(|frame| {
                let _ = match frame {
                    'a' => steady.see(look(&a, true)),
                    'b' => steady.see(look(&b, true)),
                    'u' => steady.see(look(&a, false)),
                    _ => steady.see(Evidence::None),
                };
                match steady.shown() {
                    Shown::Nothing => '.',
                    Shown::Match(name) => name.chars().next().unwrap(),
                    Shown::Unknown => 'u',
                }
            })
            .collect()
    }

    #[test]
    fn three_of_the_last_five_frames_decide() {
        assert_eq!(played("aaa"), "..a");
        assert_eq!(played("a-a-a"), "....a");
        // The first vote is the sixth last by then.
        assert_eq!(played("a--a-a-a"), ".......a");
        assert_eq!(played("uuuu"), "..uu");
    }

    #[test]
    fn what_stands_is_not_moved_by_fewer_and_gives_way_to_as_many() {
        assert_eq!(played("aaauaubaauuu"), "..aaaaaaaaau");
        assert_eq!(played("aaabbb"), "..aaab");
        assert_eq!(played("uuuauauaa"), "..uuuuuaa");
    }

    #[test]
    fn what_leaves_is_shown_until_patience_ends_and_then_nothing_is() {
        assert_eq!(played("aaa-----a"), "..aaaaaaa");
        assert_eq!(played("aaa------"), "..aaaaaa.");
        // It came back too late: it is decided anew.
        assert_eq!(played("aaa-------aaa"), "..aaaaaa....a");
    }

    #[test]
    fn votes_for_all_kinds_of_things_are_no_decision() {
        assert_eq!(played("aaabubu--bub"), "..aaaaaa....");
    }

    #[test]
    fn a_thing_on_the_edge_of_the_threshold_does_not_flicker() {
        assert_eq!(played("aaauaauaauaa"), "..aaaaaaaaaa");
        assert_eq!(played("uuuauuauuauu"), "..uuuuuuuuuu");
    }

    #[test]
    fn two_classes_as_near_as_each_other_are_unknown() {
        let name: Arc<str> = "a".into();
        let between = |lead, rules: Rules| {
            let nearest = Some(Nearness {
                name: &name,
                is_accepted: true,
                lead,
            });
            let mut steady = Steady::new(rules);
            for _ in 0..3 {
                steady.see(Evidence::Look(nearest));
            }
            steady.shown().clone()
        };
        assert_eq!(between(0.49, rules()), Shown::Unknown);
        assert_eq!(between(0.5, rules()), Shown::Match(Arc::clone(&name)));
        let any = Rules {
            lead: 0.0,
            ..rules()
        };
        assert_eq!(between(0.0, any.clone()), Shown::Unknown);
        assert_eq!(between(0.01, any), Shown::Match("a".into()));
    }

    #[test]
    fn a_decision_says_how_many_frames_it_took_since_the_thing_came() {
        let mut steady = Steady::new(rules());
        for _ in 0..9 {
            steady.see(Evidence::None);
        }
        for is_accepted in [true, true, false, true] {
            steady.see(look(&"a".into(), is_accepted));
        }
        assert_eq!(
            (steady.shown().clone(), steady.took()),
            (Shown::Match("a".into()), 4)
        );
        // Changed for another without leaving.
        for _ in 0..3 {
            steady.see(look(&"b".into(), true));
        }
        assert_eq!(steady.took(), 3);
    }

    #[test]
    fn what_is_shown_is_supported_by_the_frames_that_voted_for_it() {
        let mut steady = Steady::new(rules());
        let supported: Vec<bool> = [true, true, true, false, true]
            .map(|is_accepted| {
                steady.see(look(&"a".into(), is_accepted));
                steady.is_supported()
            })
            .into();
        assert_eq!(supported, [false, false, true, false, true]);
        steady.see(Evidence::None);
        assert!(!steady.is_supported());
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        rules().check().unwrap();
        let one = Rules {
            window: 1,
            needed: 1,
            patience: 1,
            ..rules()
        };
        one.check().unwrap();
        for wrong in [
            Rules {
                window: 0,
                ..rules()
            },
            Rules {
                needed: 6,
                ..rules()
            },
            Rules {
                window: 6,
                ..rules()
            },
            Rules {
                patience: 2,
                ..rules()
            },
            Rules {
                lead: f32::NAN,
                ..rules()
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
