//! A memory that forgets the oldest.

use std::collections::{HashMap, VecDeque};

/// Keeps the newest `most` values.
pub struct Recent<V> {
    most: usize,
    order: VecDeque<String>,
    values: HashMap<String, V>,
}

impl<V> Recent<V> {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            order: VecDeque::new(),
            values: HashMap::new(),
        }
    }

    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    pub fn insert(&mut self, key: &str, value: V) {
        if self.values.insert(key.to_owned(), value).is_some() {
            return;
        }
        self.order.push_back(key.to_owned());
        while self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_no_more_than_that() {
        let mut recent = Recent::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            recent.insert(key, value);
        }
        assert_eq!(
            (recent.get("a"), recent.get("b"), recent.get("c")),
            (None, Some(&2), Some(&4))
        );
    }
}
