//! Where does a gateway say how it is? A server of its own for the machine itself: status, metrics, and
//! the revision that answers, by which a publication knows that it has arrived.

use super::{NONE, STATUS_LISTEN, Scene, note, ours, stated};
use crate::conf::{Directive, Item, Origin};

impl Scene<'_> {
    pub(super) fn status(&self) -> Item {
        let manifest = self.manifest;
        let listen = match &manifest.deployment.gateway.status_listen {
            Some(listen) => stated("listen", [listen], "deployment.gateway.status_listen"),
            None => ours("listen", [STATUS_LISTEN]),
        };
        let mut items = vec![listen, ours("access_log", ["off"])];
        let mut location = |words: &[&str], lines: Vec<Item>| {
            let words = words.iter().copied();
            items.push(Directive::block("location", words, Origin::Ours, lines).into());
        };
        if manifest.is_on("llm-status", true) {
            location(&["/llm/status"], vec![ours("llm_status", [])]);
        }
        if manifest.is_on("llm-metrics", true) {
            let lines = vec![ours("llm_metrics_export", ["prometheus"])];
            location(&["=", "/metrics"], lines);
        }
        let revision = self.options.revision.as_deref().unwrap_or("none");
        location(
            &["=", "/llm/revision"],
            vec![ours("default_type", ["text/plain"]), ours("return", ["200", revision])],
        );
        let server = Directive::block("server", NONE, Origin::Ours, items).into();
        let title =
            note("For this machine only: what the gateway does, and which revision answers.");
        Item::Part { name: "status.conf".to_owned(), items: vec![note(""), title, server] }
    }
}
