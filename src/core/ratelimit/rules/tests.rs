//! Which limits a request meets, and how often it is counted where.

use super::super::clerk::{Actual, Ask, Clerk, Held, Mode, Refused, Which};
use super::super::estimate::Estimate;
use super::super::lease::Owner;
use super::super::record::Record;
use super::super::refusal::DenyReason;
use super::super::table::Table;
use super::super::window::SpendWindow;
use super::*;
use crate::cost::Rates;

fn pattern(pattern: &str, n: u64) -> PatternLine {
    PatternLine { pattern: pattern.to_owned(), n }
}

fn rule(text: &str) -> RuleLine {
    RuleLine::parse(&text.split(' ').collect::<Vec<_>>()).unwrap()
}

fn spend(text: &str) -> SpendLine {
    SpendLine::parse(&text.split(' ').collect::<Vec<_>>()).unwrap()
}

fn with_key() -> Lines {
    Lines { key: Some("$tenant".to_owned()), ..Lines::default() }
}

fn to<'a>(provider: &'a str, model: &'a str) -> Subject<'a> {
    Subject {
        requested_provider: provider,
        requested_model: Some(model),
        provider,
        model: Some(model),
        is_translated: false,
    }
}

const ESTIMATE: Estimate =
    Estimate { prompt_tokens: 100, output_tokens: 50, is_output_asked: true };

fn names(set: &RuleSet, asks: &[Ask]) -> Vec<String> {
    let name = |ask: &Ask| match ask.which {
        Which::Limit(at) => set.limit(at).unwrap().name.clone(),
        Which::Spend(at) => set.spending(at).unwrap().name.clone(),
    };
    asks.iter().map(name).collect()
}

/// What a request is asked for once, and for an attempt at its first target.
fn asked(set: &RuleSet, subject: &Subject<'_>, keys: &[&str]) -> (Vec<String>, Vec<String>) {
    let keys: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
    let (mut request, mut attempt) = (Vec::new(), Vec::new());
    set.ask_request(subject, &keys, &ESTIMATE, &mut request).unwrap();
    set.ask_attempt(subject, &keys, &ESTIMATE, &mut attempt);
    (names(set, &request), names(set, &attempt))
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn error(lines: &Lines) -> String {
    RuleSet::new(lines).err().unwrap()
}

#[test]
fn nothing_written_asks_nothing() {
    let set = RuleSet::new(&Lines::default()).unwrap();
    assert!(set.is_empty() && !set.asks_per_attempt());
    assert_eq!(asked(&set, &to("a", "b"), &[]), (vec![], vec![]));
}

#[test]
fn the_limits_of_an_identity_are_asked_once() {
    let lines = Lines {
        requests_per_minute: Some(600),
        burst_requests: Some(120),
        tokens_per_minute: Some(500_000),
        concurrency: Some(5),
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    assert_eq!(set.keys(), ["$tenant"]);
    assert!(!set.asks_per_attempt());
    let (request, attempt) = asked(&set, &to("a", "b"), &["acme"]);
    assert_eq!(request, ["requests 600/1m", "tokens 500000/1m", "concurrency 5"]);
    assert!(attempt.is_empty());
}

#[test]
fn a_request_without_identity_is_refused() {
    let set = RuleSet::new(&with_key()).unwrap();
    assert!(!set.is_empty());
    let mut asks = Vec::new();
    for keys in [&[b"".as_slice()][..], &[]] {
        let refusal = set.ask_request(&to("a", "b"), keys, &ESTIMATE, &mut asks).unwrap_err();
        assert_eq!(refusal.reason, DenyReason::IdentityMissing);
        assert_eq!(refusal.scope, "llm_ratelimit_key");
    }
    assert!(asks.is_empty());
}

#[test]
fn a_limit_for_the_model_stands_in_for_the_general_one() {
    let lines = Lines {
        requests_per_minute: Some(1),
        tokens_per_minute: Some(1000),
        model_rpm: vec![pattern("gpt-*", 3), pattern("GPT-4o", 2), pattern("*", 9)],
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    let special = |name: &str| (texts(&["tokens 1000/1m"]), texts(&[name]));
    assert_eq!(asked(&set, &to("a", "gpt-4O"), &["x"]), special("requests 2/1m model=GPT-4o"));
    assert_eq!(asked(&set, &to("a", "gpt-5"), &["x"]), special("requests 3/1m model=gpt-*"));
    assert_eq!(asked(&set, &to("a", "claude"), &["x"]), special("requests 9/1m model=*"));
    // Without a model no pattern fits.
    let subject = Subject { requested_model: None, model: None, ..to("a", "") };
    let (request, attempt) = asked(&set, &subject, &["x"]);
    assert_eq!(request, ["requests 1/1m", "tokens 1000/1m"]);
    assert!(attempt.is_empty());
}

#[test]
fn limits_of_model_and_provider_both_hold() {
    let lines = Lines {
        requests_per_minute: Some(1),
        model_rpm: vec![pattern("m", 2)],
        provider_rpm: vec![pattern("p", 3)],
        provider_tpm: vec![pattern("p", 4)],
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    let (request, attempt) = asked(&set, &to("p", "m"), &["x"]);
    assert!(request.is_empty());
    let all = ["requests 2/1m model=m", "requests 3/1m provider=p", "tokens 4/1m provider=p"];
    assert_eq!(attempt, all);
}

#[test]
fn the_basis_says_whether_the_client_s_wish_or_the_target_counts() {
    let subject = Subject {
        requested_provider: "first",
        requested_model: Some("wanted"),
        provider: "second",
        model: Some("served"),
        is_translated: false,
    };
    let lines = Lines {
        model_rpm: vec![pattern("wanted", 1), pattern("served", 2)],
        provider_rpm: vec![pattern("first", 3), pattern("second", 4)],
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    let (request, attempt) = asked(&set, &subject, &["x"]);
    assert!(request.is_empty());
    assert_eq!(attempt, ["requests 2/1m model=served", "requests 4/1m provider=second"]);
    let lines = Lines { model_basis: Basis::Requested, provider_basis: Basis::Requested, ..lines };
    let set = RuleSet::new(&lines).unwrap();
    assert!(!set.asks_per_attempt());
    let (request, attempt) = asked(&set, &subject, &["x"]);
    assert_eq!(request, ["requests 1/1m model=wanted", "requests 3/1m provider=first"]);
    assert!(attempt.is_empty());
}

#[test]
fn translated_attempts_have_limits_of_their_own() {
    let lines = Lines {
        requests_per_minute: Some(9),
        translated_rpm: Some(1),
        translated_tpm: Some(2),
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    let general = texts(&["requests 9/1m"]);
    assert_eq!(asked(&set, &to("a", "b"), &["x"]), (general.clone(), vec![]));
    let translated = Subject { is_translated: true, ..to("a", "b") };
    let special = texts(&["requests 1/1m translated", "tokens 2/1m translated"]);
    assert_eq!(asked(&set, &translated, &["x"]), (general, special));
}

#[test]
fn further_rules_hold_beside_all_others_and_need_their_key() {
    let lines = Lines {
        requests_per_minute: Some(9),
        rules: vec![
            rule("$tenant tokens 5/30s count=output"),
            rule("$user requests 1/s"),
            rule("$user requests 1/s model=gpt-*"),
            rule("$user concurrency 2 provider=p"),
        ],
        ..with_key()
    };
    let set = RuleSet::new(&lines).unwrap();
    assert_eq!(set.keys(), ["$tenant", "$user"]);
    let (request, attempt) = asked(&set, &to("p", "gpt-5"), &["t", "u"]);
    assert_eq!(request, ["requests 9/1m", "tokens 5/30s count=output", "requests 1/1s"]);
    assert_eq!(attempt, ["requests 1/1s model=gpt-*", "concurrency 2 provider=p"]);
    let (request, attempt) = asked(&set, &to("p", "gpt-5"), &["t", ""]);
    assert_eq!(request, ["requests 9/1m", "tokens 5/30s count=output"]);
    assert!(attempt.is_empty());
}

#[test]
fn a_changed_number_keeps_the_counter_and_a_changed_subject_does_not() {
    let key = |lines: &Lines, identity: &str| {
        let set = RuleSet::new(lines).unwrap();
        let mut asks = Vec::new();
        set.ask_request(&to("a", "b"), &[identity.as_bytes()], &ESTIMATE, &mut asks).unwrap();
        set.ask_attempt(&to("a", "b"), &[identity.as_bytes()], &ESTIMATE, &mut asks);
        asks.last().unwrap().key
    };
    let of = |text: &str| key(&Lines { rules: vec![rule(text)], ..Lines::default() }, "acme");
    let base = of("$k requests 5/m");
    assert_eq!(base, of("$k requests 50/m burst=7"));
    assert_eq!(base, of("$k requests 5/60s"));
    let others = [
        of("$k requests 5/h"),
        of("$k tokens 5/m"),
        of("$k tokens 5/m count=input"),
        of("$k concurrency 5"),
        of("$j requests 5/m"),
        of("$k requests 5/m model=b"),
        of("$k requests 5/m provider=a"),
        of("$k requests 5/m model=b provider=a"),
        key(&Lines { rules: vec![rule("$k requests 5/m")], ..Lines::default() }, "other"),
        key(&Lines { requests_per_minute: Some(5), ..with_key() }, "acme"),
        key(&Lines { model_rpm: vec![pattern("b", 5)], ..with_key() }, "acme"),
    ];
    let mut all: Vec<_> = others.iter().chain([&base]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1);
    assert_eq!(of("$k concurrency 5"), of("$k concurrency 6"));
}

#[test]
fn lines_that_contradict_themselves_are_refused() {
    assert_eq!(
        error(&Lines { requests_per_minute: Some(1), ..Lines::default() }),
        "\"llm_ratelimit_requests_per_minute\" needs an identity, add llm_ratelimit_key <text>"
    );
    assert_eq!(
        error(&Lines { provider_tpm: vec![pattern("a", 1)], ..Lines::default() }),
        "\"llm_ratelimit_provider_tpm\" needs an identity, add llm_ratelimit_key <text>"
    );
    assert_eq!(
        error(&Lines { burst_requests: Some(1), ..with_key() }),
        "\"llm_ratelimit_burst_requests\" is added to a limit, add llm_ratelimit_requests_per_minute \
         <number>"
    );
    let twice = vec![pattern("gpt-*", 1), pattern("GPT-*", 2)];
    assert_eq!(
        error(&Lines { model_rpm: twice, ..with_key() }),
        "duplicate pattern \"GPT-*\" in \"llm_ratelimit_model_rpm\""
    );
    let twice = vec![rule("$k requests 1/m"), rule("$k requests 2/60s burst=1")];
    assert_eq!(
        error(&Lines { rules: twice, ..Lines::default() }),
        "duplicate rule \"requests 2/1m\" for the key \"$k\" in \"llm_ratelimit_rule\": it counts the \
         same as another one"
    );
    let twice = vec![spend("project usd $p 1"), spend("project USD $p 2 soft")];
    assert_eq!(
        error(&Lines { spend: twice, ..Lines::default() }),
        "duplicate budget \"project usd month\" in \"llm_ratelimit_spend_scope\""
    );
    let line = ReserveSpendLine { unit: "usd".to_owned(), amount: None };
    let twice = vec![line.clone(), line];
    assert_eq!(
        error(&Lines { reserve_spend: twice, ..Lines::default() }),
        "duplicate unit \"usd\" in \"llm_ratelimit_reserve_spend\""
    );
}

/// A zone, a worker and the rules of a location.
struct World {
    set: RuleSet,
    slots: Vec<Record>,
    owner: Owner,
    now_ms: u64,
}

const RATES: Rates = match (
    crate::cost::Rate::from_pico_per_token(1_000_000),
    crate::cost::Rate::from_pico_per_token(2_000_000),
) {
    (Some(input), Some(output)) => Rates::flat(input, output),
    _ => Rates::FREE,
};

impl World {
    fn new(lines: &Lines) -> Self {
        let slots = vec![Record::default(); 257];
        let set = RuleSet::new(lines).unwrap();
        Self { set, slots, owner: Owner::new(1), now_ms: 1_750_000_000_000 }
    }

    fn clerk<R>(&mut self, work: impl FnOnce(&RuleSet, &mut Clerk<'_>) -> R) -> R {
        let Self { set, slots, owner, now_ms } = self;
        let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| work(&mut Table::new(slots));
        work(set, &mut Clerk::new(&mut with, owner, *now_ms))
    }

    fn spend(&mut self, unit: &str, keys: &[&[u8]]) -> Result<Vec<Held>, DenyReason> {
        let (mut asks, mut held) = (Vec::new(), Vec::new());
        let now_s = self.now_ms / 1000;
        self.set
            .ask_spend(unit, keys, &ESTIMATE, Some(&RATES), now_s, &mut asks)
            .map_err(|refusal| refusal.reason)?;
        let refused: Option<Refused> = self.clerk(|set, clerk| {
            let refused = clerk.take(&asks, Mode::Enforce, &mut held);
            set.label(clerk, &held, keys);
            refused
        });
        match refused {
            Some(refused) => Err(self.set.refusal(&refused, self.now_ms).reason),
            None => Ok(held),
        }
    }
}

#[test]
fn budgets_of_a_unit_are_charged_together_and_those_of_others_not_at_all() {
    // A request may cost 0.0001 + 0.0001 units.
    let mut world = World::new(&Lines {
        spend: vec![
            spend("organization usd $org 0.001"),
            spend("project USD $org $project 0.0003"),
            spend("project credit $org $project 0.0002"),
        ],
        ..Lines::default()
    });
    assert!(world.set.asks_per_attempt());
    assert!(world.set.has_budget("usd") && !world.set.has_budget("eur"));
    let (a, b): (&[&[u8]], &[&[u8]]) = (&[b"acme", b"a"], &[b"acme", b"b"]);
    assert_eq!(world.spend("usd", a).unwrap().len(), 2);
    assert_eq!(world.spend("USD", a), Err(DenyReason::Spend));
    assert_eq!(world.spend("credit", a).unwrap().len(), 1);
    assert_eq!(world.spend("eur", a).unwrap().len(), 0);
    // What the project refused is not charged to the organisation: it has room for four more.
    for project in [b"b", b"c", b"d", b"e"] {
        assert!(world.spend("usd", &[b"acme", project]).is_ok());
    }
    assert_eq!(world.spend("usd", &[b"acme", b"f"]), Err(DenyReason::Spend));
    assert!(world.spend("usd", &[b"other", b"f"]).is_ok());
    assert_eq!(world.spend("usd", &[b"acme", b""]), Err(DenyReason::IdentityMissing));
    assert!(world.spend("credit", b).is_ok());
    let table = Table::new(&mut world.slots);
    let labels: Vec<_> = (0..257).filter_map(|slot| table.budget(slot)?.label).collect();
    let mut texts: Vec<String> = labels
        .iter()
        .map(|label| {
            let ids: Vec<_> = label.ids().map(String::from_utf8_lossy).collect();
            format!("{} {} {}", label.scope.name(), label.unit(), ids.join("/"))
        })
        .collect();
    texts.sort();
    assert_eq!(texts.first().map(String::as_str), Some("organization usd acme"));
    assert!(texts.contains(&"project credit acme/b".to_owned()));
    // No record stays for what was refused by a budget behind it.
    assert_eq!(texts.iter().filter(|text| text.ends_with("acme/a")).count(), 2);
}

#[test]
fn a_new_window_is_a_new_budget_and_old_requests_settle_in_the_old_one() {
    let mut world = World::new(&Lines {
        spend: vec![spend("client usd $client 0.0002 window=day")],
        time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
        ..Lines::default()
    });
    let mut old = world.spend("usd", &[b"c"]).unwrap();
    assert_eq!(world.spend("usd", &[b"c"]), Err(DenyReason::Spend));
    world.now_ms += 86_400_000;
    let new = world.spend("usd", &[b"c"]).unwrap();
    assert_ne!(old[0].ask.key, new[0].ask.key);
    let actual = Actual { tokens: None, price: Pico(70) };
    world.clerk(|_, clerk| clerk.settle(&mut old, &actual, 0));
    let table = Table::new(&mut world.slots);
    let mut budgets: Vec<_> = (0..257).filter_map(|slot| table.budget(slot)).collect();
    budgets.sort_by_key(|budget| budget.window.start_s);
    let spent: Vec<_> = budgets.iter().map(|one| (one.spent.0, one.reserved.0)).collect();
    assert_eq!(spent, [(70, 0), (0, 200_000_000)]);
}

#[test]
fn what_is_reserved_is_reckoned_or_fixed() {
    let lines = |reserve: Option<&str>| Lines {
        spend: vec![spend("client usd $client 1")],
        reserve_spend: reserve
            .map(|amount| ReserveSpendLine::parse(&["usd", amount]).unwrap())
            .into_iter()
            .collect(),
        ..Lines::default()
    };
    for (reserve, amount) in
        [(None, 200_000_000), (Some("auto"), 200_000_000), (Some("0.25"), 250_000_000_000)]
    {
        let mut world = World::new(&lines(reserve));
        assert_eq!(world.spend("usd", &[b"c"]).unwrap()[0].amount, amount, "{reserve:?}");
    }
}

#[test]
fn a_model_without_a_price_is_handled_as_the_line_says() {
    let asked = |unpriced: &str, unit: &str| {
        let set = RuleSet::new(&Lines {
            spend: vec![spend("client usd $client 1")],
            unpriced: Unpriced::parse(unpriced).unwrap(),
            ..Lines::default()
        })
        .unwrap();
        let mut asks = Vec::new();
        let asked = set.ask_spend(unit, &[b"c"], &ESTIMATE, None, 0, &mut asks);
        asked.map(|()| asks.len()).map_err(|refusal| (refusal.reason, refusal.scope))
    };
    let denied = (DenyReason::UnpricedModel, "client usd month".to_owned());
    assert_eq!(asked("deny", "usd"), Err(denied));
    assert_eq!(asked("deny", "credit"), Ok(0));
    assert_eq!(asked("allow", "usd"), Ok(0));
    assert_eq!(asked("rate=15/75", "usd"), Ok(1));
}

#[test]
fn a_fixed_reservation_is_cut_to_what_the_limit_holds() {
    let mut world = World::new(&Lines {
        tokens_per_minute: Some(500),
        reserve_tokens: Reserve::Fixed(2000),
        ..with_key()
    });
    let mut asks = Vec::new();
    world.set.ask_request(&to("a", "b"), &[b"x"], &ESTIMATE, &mut asks).unwrap();
    let mut held = Vec::new();
    assert_eq!(world.clerk(|_, clerk| clerk.take(&asks, Mode::Enforce, &mut held)), None);
    assert_eq!(held[0].reserved_tokens(), Some(500));
}

#[test]
fn a_budget_of_one_client_holds_for_that_client_alone() {
    let line = |args: &[&str]| SpendLine::parse(args).unwrap();
    let set = RuleSet::new(&Lines {
        spend: vec![
            line(&["project", "usd", "$org", "$project", "10"]),
            line(&["client", "usd", "$org", "$project", "$premium", "1"]),
        ],
        ..Lines::default()
    })
    .unwrap();
    let rates = Rates::flat("1".parse().unwrap(), "1".parse().unwrap());
    let asked = |premium: &[u8]| {
        let values: Vec<&[u8]> = set
            .keys()
            .iter()
            .map(|key| if key == "$premium" { premium } else { b"acme".as_slice() })
            .collect();
        let mut asks = Vec::new();
        let estimate = Estimate::new(1, Some(1), None);
        set.ask_spend("usd", &values, &estimate, Some(&rates), 0, &mut asks).unwrap();
        asks.len()
    };
    assert_eq!((asked(b"one"), asked(b"")), (2, 1));
}

#[test]
fn rules_are_described_in_their_own_words() {
    let set = RuleSet::new(&Lines {
        requests_per_minute: Some(600),
        burst_requests: Some(20),
        concurrency: Some(4),
        spend: vec![spend("project usd $org 10 window=day soft"), spend("project usd $org 100")],
        ..with_key()
    })
    .unwrap();
    let described: Vec<_> =
        set.describe().map(|one| (one.kind, one.limit, one.window_ms)).collect();
    assert_eq!(described, [("requests", 620, Some(60_000)), ("concurrency", 4, None)]);
    assert!(set.describe().all(|one| !one.name.is_empty()));
    assert!(set.is_soft(Scope::Project, "USD", SpendWindow::Day));
    assert!(!set.is_soft(Scope::Project, "usd", SpendWindow::Month));
}
