//! How are clients known by six map files instead of a key file? For installations whose issuer writes
//! them; the credentials stand in them as they are, and each change needs a reload.

use super::project::Scope;
use super::{note, ours};
use crate::conf::{Directive, Item, Origin};

const STATUS: &str = "$da_client_auth_status";
const PROJECT: &str = "$da_client_auth_project_slug";
const ORG: &str = "$da_client_auth_org_slug";

fn map(from: &str, to: &str, items: Vec<Item>) -> Item {
    Directive::block("map", [from, to], Origin::Ours, items).into()
}

/// The blocks in `http`.
pub(super) fn http(folder: &str) -> Item {
    let bearer = vec![ours("~*^Bearer[ \t]+(.+)$", ["$1"]), ours("default", [""])];
    let either = vec![ours("default", ["$da_gateway_bearer_token"]), ours("", ["$http_x_api_key"])];
    let mut items = vec![
        note(""),
        note("The client's credential, and what the issuer's files say about it."),
        map("$http_authorization", "$da_gateway_bearer_token", bearer),
        map("$da_gateway_bearer_token", "$da_gateway_credential", either),
    ];
    for (variable, file, default) in [
        (STATUS, "status", "invalid"),
        ("$da_client_auth_key_id", "key-id", ""),
        (ORG, "org-slug", ""),
        (PROJECT, "project-slug", ""),
        ("$da_client_auth_client_id", "client-id", ""),
        ("$da_client_auth_tier", "tier", ""),
    ] {
        let path = format!("{folder}/{file}.map");
        let lines = vec![ours("default", [default]), ours("include", [&path])];
        items.push(map("$da_gateway_credential", variable, lines));
    }
    Item::Part { name: "clients.conf".to_owned(), items }
}

/// The lines of a location that refuse all others before anything is read.
pub(super) fn location(scope: &Scope<'_>) -> Vec<Item> {
    let refuse = |condition: Vec<String>, status: &str, origin: Origin| -> Item {
        Directive::block("if", condition, origin, vec![ours("return", [status])]).into()
    };
    let words = |left: &str, sign: &str, right: &str| {
        vec![format!("({left}"), sign.to_owned(), format!("{right})")]
    };
    let mut items = Vec::new();
    for (word, status) in [("invalid", "401"), ("suspended", "403"), ("revoked", "403")] {
        items.push(refuse(words(STATUS, "=", word), status, Origin::Ours));
    }
    let project = Origin::Manifest(format!("{}.project_slug", scope.path));
    items.push(refuse(words(PROJECT, "!=", &scope.project.project_slug), "403", project));
    let org = Origin::Manifest(format!("{}.organization_slug", scope.organization_path));
    items.push(refuse(words(ORG, "!=", &scope.organization.organization_slug), "403", org));
    for (variable, value) in [
        ("$tenant_id", PROJECT),
        ("$project_id", PROJECT),
        ("$org_id", ORG),
        ("$client_id", "$da_client_auth_client_id"),
        ("$gateway_key_id", "$da_client_auth_key_id"),
    ] {
        items.push(ours("set", [variable, value]));
    }
    items
}
