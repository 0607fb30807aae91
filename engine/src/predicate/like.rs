//! SQL's `LIKE` patterns: `%` is any text, `_` any one character, `\` takes the next one as it is.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LikePattern {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    AnyText,
    AnyCharacter,
    Character(char),
}

impl LikePattern {
    /// Compiles a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let mut parts = Vec::with_capacity(pattern.len());
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let part = match character {
                '%' => Part::AnyText,
                '_' => Part::AnyCharacter,
                '\\' => Part::Character(characters.next().unwrap_or('\\')),
                other => Part::Character(other),
            };
            if part != Part::AnyText || parts.last() != Some(&Part::AnyText) {
                parts.push(part);
            }
        }
        LikePattern { parts }
    }

    /// The pattern as a text that gives it again.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::AnyText => text.push('%'),
                Part::AnyCharacter => text.push('_'),
                Part::Character(character) => {
                    if matches!(character, '%' | '_' | '\\') {
                        text.push('\\');
                    }
                    text.push(*character);
                }
            }
        }
        text
    }

    /// Whether the whole text is of the pattern. Takes time in proportion to text × pattern at worst: after a
    /// mismatch only the last `%` is retried, one character further on.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        let mut retry = None;
        loop {
            let before = rest.clone();
            match (self.parts.get(at), rest.next()) {
                (Some(Part::AnyText), _) => {
                    at += 1;
                    retry = Some((at, before.clone()));
                    rest = before;
                }
                (None, None) => return true,
                (Some(Part::AnyCharacter), Some(_)) => at += 1,
                (Some(Part::Character(wanted)), Some(found)) if *wanted == found => at += 1,
                _ => {
                    let Some((part, text)) = &mut retry else {
                        return false;
                    };
                    if text.next().is_none() {
                        return false;
                    }
                    at = *part;
                    rest = text.clone();
                }
            }
        }
    }
}
