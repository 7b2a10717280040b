//! `soma run --learn`: the file that what a capsule sends is written to.

use std::fs;
use std::path::PathBuf;

use soma_capability::Grant;
use soma_runtime::{Learned, Lesson};

use crate::commands::grant;
use crate::failure::Failure;
use crate::screen::Screen;

const HEAD: &str = "# What `soma run --learn` saw. Read it before you grant it; `docs/grants.md` says \
                    how it can be made wider.\n\n";

/// A grant in a file that grows with what is learned.
pub(super) struct LearningFile {
    path: PathBuf,
    known: Grant,
    pub(super) learned: Learned,
}

impl LearningFile {
    /// What an earlier run left; nothing where there is no file.
    pub(super) fn read(path: PathBuf) -> Result<Self, Failure> {
        let known = grant::read(&path)?.unwrap_or_default();
        Ok(Self {
            path,
            known,
            learned: Learned::default(),
        })
    }

    /// Adds what was seen, and says what no grant can name.
    pub(super) fn write(self, screen: Screen) -> Result<(), Failure> {
        let Lesson { grant, nameless } = self.learned.lesson(&self.known);
        for request in nameless {
            screen.aside(&format!("no grant can name this: {request}"));
        }
        let shown = self.path.display();
        if grant.is_empty() {
            let words = match self.known.http.is_empty() {
                true => "nothing was sent that a grant could name: no file is written".to_owned(),
                false => format!("{shown} has all that was sent"),
            };
            screen.aside(&words);
            return Ok(());
        }
        for entry in &grant.http {
            let every = match entry.hides_operations() {
                true => ", every operation: which it was could not be seen",
                false => "",
            };
            for line in entry.to_string().lines() {
                screen.step("Learned", &format!("{line}{every}"));
            }
        }
        let mut all = self.known;
        all.http.extend(grant.http);
        let text = toml::to_string(&all).map_err(Failure::failed)?;
        fs::write(&self.path, format!("{HEAD}{text}"))
            .map_err(|e| Failure::failed(format_args!("cannot write {shown}: {e}")))
    }
}
