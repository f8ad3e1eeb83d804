//! Which scripted answer is a request's?

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::answer::{Answer, Times};
use crate::record::locked;

/// A listener's queue of answers.
#[derive(Debug, Default)]
pub struct Script {
    queue: Mutex<VecDeque<Entry>>,
    /// Spares the lock as long as nothing is scripted.
    is_scripted: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    is_used: bool,
}

impl Script {
    pub fn extend(&self, answers: Vec<Answer>) {
        let mut queue = locked(&self.queue);
        queue.extend(answers.into_iter().map(|answer| Entry { answer, is_used: false }));
        self.is_scripted.store(!queue.is_empty(), Ordering::Release);
    }

    pub fn clear(&self) {
        let mut queue = locked(&self.queue);
        queue.clear();
        self.is_scripted.store(false, Ordering::Release);
    }

    /// Answers still to be given. One given "always" counts until its first use.
    pub fn left(&self) -> u64 {
        let queue = locked(&self.queue);
        queue.iter().fold(0, |left: u64, entry| {
            left.saturating_add(match entry.answer.times {
                Times::Left(times) => times,
                Times::Always => u64::from(!entry.is_used),
            })
        })
    }

    /// The first answer whose filters match.
    pub fn take(&self, path: &str, model: &str) -> Option<Answer> {
        self.take_first(|answer| answer.when.matches(path, model), |_| true)
    }

    /// The first answer for the path, if it does not wait for the request's body.
    pub fn take_early(&self, path: &str) -> Option<Answer> {
        let is_for_path =
            |answer: &Answer| answer.when.path.as_ref().is_none_or(|suffix| path.ends_with(suffix));
        self.take_first(is_for_path, |answer| answer.early && answer.when.model.is_none())
    }

    fn take_first(
        &self,
        matches: impl Fn(&Answer) -> bool,
        accepts: impl Fn(&Answer) -> bool,
    ) -> Option<Answer> {
        if !self.is_scripted.load(Ordering::Acquire) {
            return None;
        }
        let mut queue = locked(&self.queue);
        let index = queue.iter().position(|entry| matches(&entry.answer))?;
        let entry = queue.get_mut(index).filter(|entry| accepts(&entry.answer))?;
        entry.is_used = true;
        let answer = entry.answer.clone();
        match &mut entry.answer.times {
            Times::Left(1) => {
                queue.remove(index);
                self.is_scripted.store(!queue.is_empty(), Ordering::Release);
            }
            Times::Left(times) => *times -= 1,
            Times::Always => {}
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        let script = Script::default();
        script.extend(serde_json::from_str(text).unwrap());
        script
    }

    fn status(answer: Option<Answer>) -> Option<u16> {
        answer.and_then(|answer| answer.status)
    }

    #[test]
    fn answers_come_in_order_and_as_often_as_said() {
        let script = script(r#"[{"status":500,"times":2},{"status":429}]"#);
        assert_eq!(script.left(), 3);
        let taken: Vec<_> = (0..4).map(|_| status(script.take("/", "m"))).collect();
        assert_eq!(taken, [Some(500), Some(500), Some(429), None]);
        assert_eq!(script.left(), 0);
    }

    #[test]
    fn an_answer_for_another_request_is_skipped_and_kept() {
        let script = script(r#"[{"status":500,"when":{"model":"a"}},{"status":429}]"#);
        assert_eq!(status(script.take("/", "b")), Some(429));
        assert_eq!(script.left(), 1);
        assert_eq!(status(script.take("/", "a")), Some(500));
    }

    #[test]
    fn an_answer_given_always_is_left_until_used() {
        let script = script(r#"[{"status":500,"times":"always"}]"#);
        assert_eq!(script.left(), 1);
        assert_eq!(status(script.take("/", "m")), Some(500));
        assert_eq!(status(script.take("/", "m")), Some(500));
        assert_eq!(script.left(), 0);
    }

    #[test]
    fn only_an_early_answer_is_taken_before_the_body() {
        let script = script(r#"[{"status":500},{"status":413,"early":true}]"#);
        assert_eq!(script.take_early("/"), None);
        assert!(script.take("/", "m").is_some());
        assert_eq!(status(script.take_early("/")), Some(413));
    }
}
