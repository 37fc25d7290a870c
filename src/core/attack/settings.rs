/*!
The settings of an attack, by name.

Whoever asks for an attack has checked the values. A setting that is absent or of
another kind is a fault of this crate, so it is an [`Error::Internal`] that names the
setting.
*/

use std::collections::HashMap;

use crate::{Error, Result};

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    None,
    /// True or false.
    Flag(bool),
    /// An integer.
    Whole(i64),
    /// A real number.
    Number(f64),
    /// A word.
    Text(String),
    /// A list of real numbers.
    Numbers(Vec<f64>),
    /// A value of another kind, which no attack can read.
    Other,
}

/// The name of an attack, and its settings.
#[derive(Debug, Clone)]
pub struct Settings {
    attack: String,
    values: HashMap<String, Value>,
}

impl Settings {
    /// Settings of the attack that [`super::method`] has by this name.
    #[must_use]
    pub fn new(attack: String, values: HashMap<String, Value>) -> Self {
        Self { attack, values }
    }

    /// The name of the attack.
    #[must_use]
    pub fn attack(&self) -> &str {
        &self.attack
    }

    /// A setting that is true or false.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.values.get(name) {
            Some(&Value::Flag(flag)) => Ok(flag),
            other => Err(self.fault(name, other, "a flag")),
        }
    }

    /// A setting that is an integer of at least 0.
    pub fn count(&self, name: &str) -> Result<usize> {
        match self.values.get(name) {
            Some(&Value::Whole(count)) if count >= 0 => Ok(count as usize),
            other => Err(self.fault(name, other, "a count")),
        }
    }

    /// A setting that is a real number.
    pub fn number(&self, name: &str) -> Result<f64> {
        match self.values.get(name) {
            Some(&Value::Number(number)) => Ok(number),
            Some(&Value::Whole(whole)) => Ok(whole as f64),
            other => Err(self.fault(name, other, "a number")),
        }
    }

    /// A setting that is a list of real numbers.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.values.get(name) {
            Some(Value::Numbers(numbers)) => Ok(numbers),
            other => Err(self.fault(name, other, "numbers")),
        }
    }

    /// A setting that is one of these words: what stands beside the word.
    pub fn choice<V: Copy>(&self, name: &str, known: &[(&str, V)]) -> Result<V> {
        let given = self.values.get(name);
        let found = known
            .iter()
            .find(|(word, _)| matches!(given, Some(Value::Text(text)) if text == word));
        let words = || known.iter().map(|&(word, _)| word).collect::<Vec<_>>();
        found
            .map(|&(_, choice)| choice)
            .ok_or_else(|| self.fault(name, given, &words().join(" or ")))
    }

    /// A setting that may be `None`, otherwise read by `read`, as in
    /// `settings.optional("step_size", Settings::number)`.
    pub fn optional<'a, V>(
        &'a self,
        name: &str,
        read: impl Fn(&'a Self, &str) -> Result<V>,
    ) -> Result<Option<V>> {
        match self.values.get(name) {
            Some(Value::None) => Ok(None),
            _ => read(self, name).map(Some),
        }
    }

    fn fault(&self, name: &str, got: Option<&Value>, expected: &str) -> Error {
        let got = got.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"));
        Error::Internal(format!(
            "attack {}: setting {name}: got {got}, expected {expected}",
            self.attack
        ))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::core::attack::{Method, method};

    /// What an attack reads.
    #[derive(Clone, Copy)]
    struct Reads {
        attack: &'static str,
        counts: &'static str,
        numbers: &'static str,
        /// A rule to choose, and two of its words.
        rules: &'static [[&'static str; 3]],
        /// The answers that the attack plans where each count is 9.
        planned: usize,
    }

    const ATTACKS: [Reads; 3] = [
        Reads {
            attack: "boundary",
            counts: "max_queries probes",
            numbers: "reach tolerance spherical_step source_step step_adaptation",
            rules: &[
                ["proposal", "bands", "signs"],
                ["proposal", "estimate", "published"],
            ],
            planned: 9,
        },
        Reads {
            attack: "brendel_bethge",
            counts: "steps restarts descent n_decays patience",
            numbers: "first_radius last_radius decay tolerance momentum overshoot",
            rules: &[
                ["radius", "adaptive", "published"],
                ["overshoot_rule", "authors", "foolbox"],
            ],
            planned: 110,
        },
        Reads {
            attack: "pgd",
            counts: "steps restarts",
            numbers: "step_size",
            rules: &[["step_rule", "constant", "adaptive"]],
            planned: 200,
        },
    ];

    fn word(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn settings(attack: &str, values: &[(&str, Value)]) -> Settings {
        let values = values.iter().cloned();
        let values = values.map(|(name, value)| (name.to_owned(), value));
        Settings::new(attack.to_owned(), values.collect())
    }

    /// All settings of an attack; flags and lists are given to every attack.
    fn complete(reads: Reads) -> Settings {
        let others = [
            ("normalise", Value::Flag(true)),
            ("early_stop", Value::Flag(false)),
            ("budgets", Value::Numbers(vec![0.1, 0.2, 0.3])),
            ("below", Value::Numbers(vec![0.3, 0.2, 0.1])),
        ];
        let counts = reads.counts.split(' ').map(|name| (name, Value::Whole(9)));
        let numbers = reads.numbers.split(' ');
        let numbers = numbers.map(|name| (name, Value::Number(0.1)));
        let rules = reads
            .rules
            .iter()
            .map(|&[name, text, _]| (name, word(text)));
        let all = counts.chain(numbers).chain(rules).chain(others);
        settings(reads.attack, &all.collect::<Vec<_>>())
    }

    fn made(settings: &Settings, position: usize) -> Result<Box<dyn Method<f64>>> {
        method(settings, position, [3, 4, 5], ChaCha8Rng::seed_from_u64(0))
    }

    /// The message of a method that is not made.
    fn fault(settings: &Settings) -> String {
        made(settings, 0).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn each_attack_is_made_from_its_settings() {
        for reads in ATTACKS {
            let complete = complete(reads);
            assert_eq!(made(&complete, 0).unwrap().planned(), reads.planned);
            for &[name, _, other] in reads.rules {
                let mut settings = complete.clone();
                settings.values.insert(name.to_owned(), word(other));
                let method = made(&settings, 0).unwrap();
                assert_eq!(method.planned(), reads.planned, "{other}");
                settings.values.insert(name.to_owned(), word("none"));
                let message = fault(&settings);
                assert!(message.contains(&format!("setting {name}: got Text(\"none\")")));
            }
        }
    }

    #[test]
    fn each_image_has_its_own_limit() {
        let mut settings = complete(ATTACKS[2]);
        let planned = |settings: &Settings| {
            [0, 1, 2, 3].map(|position| made(settings, position).unwrap().planned())
        };
        // Ten runs of ten answers at each budget below the limit.
        assert_eq!(planned(&settings), [200, 100, 0, 300]);
        settings.values.insert("below".to_owned(), Value::None);
        assert_eq!(planned(&settings), [300; 4]);
    }

    #[test]
    fn a_setting_that_is_absent_or_of_another_kind_is_named() {
        for reads in ATTACKS {
            let (attack, settings) = (reads.attack, complete(reads));
            let mut n_read = 0;
            for name in settings.values.keys() {
                let mut without = settings.clone();
                without.values.remove(name);
                let Err(error) = made(&without, 0) else {
                    continue; // of another attack, or a rule that is not chosen
                };
                n_read += 1;
                let start = format!("internal error: attack {attack}: setting {name}: got nothing");
                assert!(error.to_string().starts_with(&start), "{error}");
                let mut other = settings.clone();
                other.values.insert(name.clone(), word("other"));
                let message = fault(&other);
                assert!(message.contains(&format!("setting {name}: got Text")));
            }
            assert!(n_read > 4, "{attack}");
        }
    }

    #[test]
    fn an_attack_that_is_not_there_is_named() {
        assert!(fault(&settings("other", &[])).contains("attack 'other'"));
    }

    #[test]
    fn values_are_read_as_what_they_are() {
        let settings = settings(
            "any",
            &[
                ("flag", Value::Flag(true)),
                ("whole", Value::Whole(-3)),
                ("number", Value::Number(0.25)),
                ("list", Value::Numbers(vec![1.0, 2.0])),
                ("none", Value::None),
            ],
        );
        assert!(settings.flag("flag").unwrap());
        assert!((settings.number("whole").unwrap() + 3.0).abs() < 1e-15);
        assert!(settings.count("whole").is_err(), "negative");
        assert!(settings.count("number").is_err());
        assert_eq!(settings.numbers("list").unwrap(), [1.0, 2.0]);
        let optional = |name| settings.optional(name, Settings::number);
        assert_eq!(optional("none").unwrap(), None);
        assert_eq!(optional("number").unwrap(), Some(0.25));
        assert!(optional("flag").is_err() && optional("absent").is_err());
    }
}
