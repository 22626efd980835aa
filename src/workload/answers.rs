//! How long answers are, for a server that is asked by others than the source of requests.

use super::SourceSettings;
use super::template::Template;
use crate::request::ClassId;
use crate::rng::{Entities, Streams};

/// Draws the lengths of answers, class by class.
#[derive(Debug)]
pub struct Answers {
    templates: Vec<Template>,
    entities: Entities,
}

impl Answers {
    /// Of the classes in `settings`.
    #[must_use]
    pub fn new(settings: &SourceSettings, streams: Streams) -> Self {
        Self { templates: Template::all(settings), entities: streams.entities() }
    }

    /// Length of the answer to request number `number` of `class` if nothing cuts it, tokens: of number `n` always the same, and
    /// the same as the request with that id has in a simulation. `None` where the class does not say how long its answers are.
    #[must_use]
    pub fn tokens(&self, class: ClassId, number: u64) -> Option<u32> {
        self.templates.get(class.index())?.answer(&self.entities.draws(number))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{class, settings};
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_its_class_says() {
        let classes = vec![
            class("name = 'a'\noutput = { dist = 'uniform', min = 5, max = 9 }"),
            class("name = 'b'\noutput = { dist = 'fixed', value = 7 }"),
            class("name = 'c'"),
        ];
        let settings = settings(classes, None);
        let answers = Answers::new(&settings, Streams::new(1, 0));
        let drawn: Vec<u32> = (0..50).filter_map(|number| answers.tokens(ClassId(0), number)).collect();
        assert!(drawn.iter().all(|tokens| (5..=9).contains(tokens)) && drawn.iter().any(|tokens| *tokens != drawn[0]));
        assert_eq!(answers.tokens(ClassId(0), 3), Some(drawn[3]));
        assert_eq!(answers.tokens(ClassId(1), 0), Some(7));
        assert_eq!((answers.tokens(ClassId(2), 0), answers.tokens(ClassId(3), 0)), (None, None));
    }
}
