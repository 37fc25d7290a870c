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

    const ATTACKS: [&str; 3] = ["boundary", "brendel_bethge", "pgd"];

    fn settings<const N: usize>(attack: &str, values: [(&str, Value); N]) -> Settings {
        let values = values.map(|(name, value)| (name.to_owned(), value));
        Settings::new(attack.to_owned(), values.into())
    }

    fn word(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// What each attack reads, and the answers that it plans.
    fn complete(attack: &str) -> (Settings, usize) {
        match attack {
            "boundary" => {
                let shares = ["reach", "tolerance", "spherical_step", "source_step"];
                let mut found = settings(
                    attack,
                    [
                        ("max_queries", Value::Whole(70)),
                        ("proposal", word("estimate")),
                        ("probes", Value::Whole(5)),
                        ("step_adaptation", Value::Number(1.5)),
                    ],
                );
                let shares = shares.map(|name| (name.to_owned(), Value::Number(0.1)));
                found.values.extend(shares);
                (found, 70)
            }
            "brendel_bethge" => {
                let numbers = [
                    "first_radius",
                    "last_radius",
                    "decay",
                    "tolerance",
                    "momentum",
                    "overshoot",
                ];
                let mut found = settings(
                    attack,
                    [
                        ("steps", Value::Whole(9)),
                        ("restarts", Value::Whole(1)),
                        ("radius", word("adaptive")),
                        ("n_decays", Value::Whole(2)),
                        ("patience", Value::Whole(2)),
                        ("normalise", Value::Flag(true)),
                        ("overshoot_rule", word("authors")),
                    ],
                );
                let numbers = numbers.map(|name| (name.to_owned(), Value::Number(0.5)));
                found.values.extend(numbers);
                (found, 20)
            }
            _ => {
                let found = settings(
                    attack,
                    [
                        ("budgets", Value::Numbers(vec![0.1, 0.2, 0.3])),
                        ("below", Value::Numbers(vec![0.3, 0.2, 0.1])),
                        ("steps", Value::Whole(9)),
                        ("step_size", Value::None),
                        ("step_rule", word("constant")),
                        ("restarts", Value::Whole(0)),
                        ("early_stop", Value::Flag(false)),
                    ],
                );
                (found, 20)
            }
        }
    }

    fn made(settings: &Settings, position: usize) -> Result<Box<dyn Method<f64>>> {
        method(settings, position, ChaCha8Rng::seed_from_u64(0))
    }

    /// The message of a method that is not made.
    fn fault(settings: &Settings) -> String {
        made(settings, 0).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn each_attack_is_made_from_its_settings() {
        for attack in ATTACKS {
            let (settings, planned) = complete(attack);
            assert_eq!(made(&settings, 0).unwrap().planned(), planned, "{attack}");
        }
        for (attack, name, other) in [
            ("boundary", "proposal", "published"),
            ("brendel_bethge", "radius", "published"),
            ("brendel_bethge", "overshoot_rule", "foolbox"),
            ("pgd", "step_rule", "adaptive"),
        ] {
            let (mut settings, planned) = complete(attack);
            settings.values.insert(name.to_owned(), word(other));
            assert_eq!(made(&settings, 0).unwrap().planned(), planned, "{other}");
            settings.values.insert(name.to_owned(), word("other"));
            let message = fault(&settings);
            assert!(message.contains(&format!("setting {name}: got Text(\"other\")")));
        }
    }

    #[test]
    fn each_image_has_its_own_limit() {
        let (mut settings, _) = complete("pgd");
        let planned = |settings: &Settings| {
            [0, 1, 2, 3].map(|position| made(settings, position).unwrap().planned())
        };
        // Runs of ten answers: of two budgets both may be tried, of three two.
        assert_eq!(planned(&settings), [20, 10, 0, 20]);
        settings.values.insert("below".to_owned(), Value::None);
        assert_eq!(planned(&settings), [20; 4]);
    }

    #[test]
    fn a_setting_that_is_absent_or_of_another_kind_is_named() {
        for attack in ATTACKS {
            let (settings, _) = complete(attack);
            let mut n_read = 0;
            for name in settings.values.keys() {
                let mut without = settings.clone();
                without.values.remove(name);
                let Err(error) = made(&without, 0) else {
                    continue; // of the rule that is not chosen
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
        assert!(fault(&settings("other", [])).contains("attack 'other'"));
    }

    #[test]
    fn values_are_read_as_what_they_are() {
        let settings = settings(
            "any",
            [
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
