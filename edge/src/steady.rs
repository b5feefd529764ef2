//! Decides over time: frames vote, and what is shown changes when enough of the last ones agree.
//! Knows votes and counts: nothing of pictures, networks or clocks.
//!
//! A frame votes for the nearest class, or for "unknown"; one that shows nothing, or nothing clear,
//! does not vote. An answer stands once [`Rules::needed`] of the last [`Rules::window`] frames voted for
//! it. It then stands until another answer has as many, or until [`Rules::patience`] frames went by
//! without a vote for it: then nothing is shown. While a class stands, and each look is of the same thing
//! as the look before, a vote for it needs a little less ([`Rules::slack`]), so that a thing on the edge
//! of the threshold does not flicker; a thing that is changed for another loses that at once, and the
//! votes of the old one with it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How frames become a decision. Log-odds are natural: ln(p / (1 - p)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// So many frames count, the newest ones; at least 1.
    pub window: usize,
    /// So many of them must vote for an answer: more than half of `window`, so that no two can have it.
    pub needed: usize,
    /// So many frames without a vote for it, and an answer falls; at least `needed`.
    pub patience: usize,
    /// By so much the nearest class must lead before the next, in log-odds, 0 or more; else the vote is
    /// for "unknown".
    pub lead: f32,
    /// So far below the threshold a class that stands still gets votes, in log-odds, 0 or more.
    pub slack: f32,
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
        for (name, value) in [("lead", self.lead), ("slack", self.slack)] {
            if !(0.0..=100.0).contains(&value) {
                return Err(format!("{name} must be 0 to 100, not {value}"));
            }
        }
        Ok(())
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence<'a> {
    /// Nothing, or nothing clear enough to decide by.
    None,
    /// A thing.
    Look {
        /// The nearest class; `None` where none is enrolled, or where it is known that it is not this.
        nearest: Option<Nearness<'a>>,
        /// Whether the look before showed the same thing.
        is_same_thing: bool,
    },
}

/// How near the nearest class is, in log-odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness<'a> {
    /// The class.
    pub name: &'a str,
    /// Above the threshold; 0 on it, below 0 where it is missed.
    pub above: f32,
    /// Before the next class; infinite where there is none.
    pub lead: f32,
}

/// What is shown, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nothing, or nothing clear.
    #[default]
    Nothing,
    /// A thing of this class.
    Match(String),
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
    /// Frames in a row without a vote for what is shown.
    unsupported: usize,
    /// Frames in a row without any vote.
    silent: usize,
    /// Frames since the thing came.
    frames: usize,
    /// Nothing was decided since it came.
    is_new: bool,
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
            frames: 0,
            is_new: true,
        }
    }

    /// What is shown.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Frames since the thing came that is shown, this one included.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Takes a frame's evidence; whether something else is shown now.
    pub fn see(&mut self, evidence: Evidence) -> bool {
        if let Evidence::Look { is_same_thing, .. } = evidence {
            if !is_same_thing || self.silent >= self.rules.patience {
                self.restart();
                self.frames = 0;
            }
            self.silent = 0;
        } else {
            self.silent += 1;
        }
        self.frames += 1;
        let vote = self.vote(evidence);
        let is_vote = vote != Shown::Nothing;
        if self.votes.len() == self.rules.window {
            self.votes.pop_front();
        }
        self.votes.push_back(vote.clone());
        let count = self.votes.iter().filter(|other| **other == vote).count();
        if is_vote && count >= self.rules.needed {
            self.is_new = false;
            self.unsupported = 0;
            let before = std::mem::replace(&mut self.shown, vote);
            return before != self.shown;
        }
        self.unsupported = match is_vote && vote == self.shown {
            true => 0,
            false => self.unsupported + 1,
        };
        if self.shown != Shown::Nothing && self.unsupported >= self.rules.patience {
            self.shown = Shown::Nothing;
            self.is_new = true;
            return true;
        }
        false
    }

    /// Forgets the votes, as where classes come or go: what stands must be decided anew.
    pub fn restart(&mut self) {
        self.votes.clear();
        self.is_new = true;
    }

    fn vote(&self, evidence: Evidence) -> Shown {
        let Evidence::Look { nearest, .. } = evidence else {
            return Shown::Nothing;
        };
        let Some(nearest) = nearest else {
            return Shown::Unknown;
        };
        let stands =
            !self.is_new && matches!(&self.shown, Shown::Match(name) if name == nearest.name);
        let enough = if stands { -self.rules.slack } else { 0.0 };
        // A tie is broken against us.
        if nearest.above >= enough && nearest.lead > 0.0 && nearest.lead >= self.rules.lead {
            Shown::Match(nearest.name.to_owned())
        } else {
            Shown::Unknown
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
            slack: 1.0,
        }
    }

    fn look(name: &str, above: f32) -> Evidence<'_> {
        let nearest = Some(Nearness {
            name,
            above,
            lead: f32::INFINITY,
        });
        Evidence::Look {
            nearest,
            is_same_thing: true,
        }
    }

    fn changed(evidence: Evidence) -> Evidence {
        let Evidence::Look { nearest, .. } = evidence else {
            return evidence;
        };
        Evidence::Look {
            nearest,
            is_same_thing: false,
        }
    }

    /// Plays frames: `a`, `b` well above the threshold, `u` far below, `-` nothing, `A` of another
    /// thing than before. A letter each: what is shown after it, `.` where that is nothing.
    fn played(frames: &str) -> String {
        let mut steady = Steady::new(rules());
        frames
            .chars()
            .map(|frame| {
                let _ = match frame {
                    'a' => steady.see(look("a", 2.0)),
                    'b' => steady.see(look("b", 2.0)),
                    'A' => steady.see(changed(look("a", 2.0))),
                    'B' => steady.see(changed(look("b", 2.0))),
                    'u' => steady.see(look("a", -5.0)),
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
    fn another_thing_is_decided_by_its_own_frames() {
        // Of the last five, three are for a; but of the new thing one alone is.
        assert_eq!(played("uuuaaAuaa"), "..uuuuuua");
        assert_eq!(played("aaaBbb"), "..aaab");
    }

    #[test]
    fn a_class_that_stands_needs_less_until_the_thing_is_another() {
        let mut steady = Steady::new(rules());
        for _ in 0..3 {
            assert_eq!(steady.shown(), &Shown::Nothing);
            steady.see(look("a", 0.0));
        }
        let a = Shown::Match("a".to_owned());
        for _ in 0..20 {
            assert!(!steady.see(look("a", -1.0)));
            assert_eq!(steady.shown(), &a);
        }
        // Another thing, as near: it has to pass the threshold itself.
        assert!(!steady.see(changed(look("a", -1.0))));
        assert!(!steady.see(look("a", -1.0)));
        assert!(steady.see(look("a", -1.0)));
        assert_eq!(steady.shown(), &Shown::Unknown);
        // And nothing that is unknown gets that way in again.
        for _ in 0..20 {
            assert!(!steady.see(look("a", -0.5)));
        }
    }

    #[test]
    fn two_classes_as_near_as_each_other_are_unknown() {
        let between = |lead, rules: Rules| {
            let nearest = Some(Nearness {
                name: "a",
                above: 3.0,
                lead,
            });
            let mut steady = Steady::new(rules);
            for _ in 0..3 {
                steady.see(Evidence::Look {
                    nearest,
                    is_same_thing: true,
                });
            }
            steady.shown().clone()
        };
        assert_eq!(between(0.49, rules()), Shown::Unknown);
        assert_eq!(between(0.5, rules()), Shown::Match("a".to_owned()));
        let any = Rules {
            lead: 0.0,
            ..rules()
        };
        assert_eq!(between(0.0, any.clone()), Shown::Unknown);
        assert_eq!(between(0.01, any), Shown::Match("a".to_owned()));
    }

    #[test]
    fn frames_are_counted_from_when_the_thing_came() {
        let mut steady = Steady::new(rules());
        for _ in 0..9 {
            steady.see(Evidence::None);
        }
        steady.see(look("a", 2.0));
        steady.see(look("a", 2.0));
        assert!(steady.see(look("a", 2.0)));
        assert_eq!(steady.frames(), 3);
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
                slack: -1.0,
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
