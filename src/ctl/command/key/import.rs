//! `llmctl key import`: credentials that an issuer wrote into six map files as they are.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;

use llm_core::auth::client::{Client, State, Table};

use super::args::Import;
use super::{Done, Failure, check_id};
use crate::conf::{directives, parse_file};
use crate::keyfile::{self, KeyFile};
use crate::{files, progress, time};

/// Shorter secrets could be guessed if the file were lost.
const STRONG_SECRET_BYTES: usize = 22;

/// Words of nginx in a map that are no entries.
const SPECIAL: [&str; 4] = ["default", "hostnames", "volatile", "include"];

type Map = HashMap<String, String>;

pub(super) fn run(import: &Import, out: &mut dyn Write) -> Result<Done, Failure> {
    let read = |name: &str| map(&import.maps.join(format!("{name}.map")));
    let states: BTreeMap<_, _> = read("status")?.into_iter().collect();
    let ids = read("key-id")?;
    let sides = [read("org-slug")?, read("project-slug")?, read("client-id")?, read("tier")?];
    let mut file = KeyFile::open_or_new(&import.file)?;
    let (mut new, mut weak) = (0, 0);
    let bar = progress::bar(states.len(), "hashing");
    let mut keys: BTreeMap<String, Client> = BTreeMap::new();
    for (credential, state) in &states {
        bar.inc(1);
        let (client, is_weak) = client(credential, state, ids.get(credential), &sides)?;
        weak += usize::from(is_weak);
        let id = client.key_id.to_string();
        if keys.insert(id.clone(), client).is_some() {
            return Err(Failure::new(format!(
                "key \"{id}\" has two credentials in the maps, keep one of them"
            )));
        }
    }
    bar.finish_and_clear();
    let mut table = Table::default();
    for old in file.table.clients() {
        match keys.remove(&*old.key_id) {
            Some(_) if !import.replace => {
                return Err(Failure::new(format!(
                    "key \"{}\" is in the key file already, remove it from the maps or add --replace",
                    old.key_id
                )));
            }
            Some(newer) => {
                new += 1;
                table.push(newer);
            }
            None => {
                table.push(old.clone());
            }
        }
    }
    new += keys.len();
    for client in keys.into_values() {
        table.push(client);
    }
    file.table = table;
    file.save()?;
    writeln!(out, "{new} keys imported into {}", import.file.display())?;
    if weak > 0 {
        super::super::hint(&format!(
            "{weak} of them have short secrets, which can be guessed by who gets the file; rotate them"
        ));
    }
    super::super::hint(&format!(
        "the maps in {} hold credentials as they are, delete them when the gateway uses the key file",
        import.maps.display()
    ));
    Ok(Done::Well)
}

/// A key of the maps. No message shows a credential.
fn client(
    credential: &str,
    state: &str,
    id: Option<&String>,
    sides: &[Map; 4],
) -> Result<(Client, bool), Failure> {
    let split = match id {
        Some(id) => credential
            .strip_prefix(id.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .map(|secret| (id.as_str(), secret)),
        None => credential.rsplit_once('.'),
    };
    let Some((id, secret)) = split.filter(|(_, secret)| !secret.is_empty()) else {
        let whose = id.map_or("without an id".to_owned(), |id| format!("of key \"{id}\""));
        return Err(Failure::new(format!(
            "a credential {whose} is not <id>.<secret>, remove it from the maps and issue a new one"
        )));
    };
    check_id(id)?;
    let state = State::parse(state).ok_or_else(|| {
        Failure::new(format!(
            "status.map: unknown status \"{state}\" of key \"{id}\", use active, suspended or revoked"
        ))
    })?;
    let mut client = Client { state, ..Client::new(id, keyfile::digest(secret)?) };
    client.created_s = Some(time::now_s());
    let [orgs, projects, clients, tiers] = sides;
    let side = |map: &Map| map.get(credential).map(|value| value.as_str().into());
    (client.org, client.project) = (side(orgs), side(projects));
    (client.client, client.tier) = (side(clients), side(tiers));
    Ok((client, secret.len() < STRONG_SECRET_BYTES))
}

fn map(path: &Path) -> Result<Map, Failure> {
    if let Err(why) = fs::File::open(path) {
        let (name, why) = (path.display(), files::told(&why));
        return Err(Failure::new(format!("map file \"{name}\" cannot be read: {why}")));
    }
    // The place's line is told, the text of the line is not: it may be a credential.
    let items = parse_file(path).map_err(|(place, _)| {
        Failure::new(format!(
            "{place}: this is no map file of nginx, it needs: <credential> <value>;"
        ))
    })?;
    let mut map = Map::new();
    for entry in directives(&items) {
        if SPECIAL.contains(&entry.name.as_str()) {
            continue;
        }
        let [value] = entry.args.as_slice() else {
            let name = path.display();
            return Err(Failure::new(format!("{name}: an entry must be <credential> <value>;")));
        };
        if entry.name.starts_with('~') {
            let name = path.display();
            return Err(Failure::new(format!("{name}: a pattern is no credential, remove it")));
        }
        map.insert(entry.name.clone(), value.clone());
    }
    Ok(map)
}
