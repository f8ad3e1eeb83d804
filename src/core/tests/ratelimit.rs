//! Are limits and budgets right whatever happens in whatever order? Random histories of several workers
//! against a plain ledger: requests that pass, settle or are given back, clocks that move both ways,
//! workers that are killed, windows that end, checkpoints in the middle of traffic, and restarts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::thread;

use llm_core::cost::{Pico, Rate, Rates, SpendCharge};
use llm_core::ratelimit::{
    Actual, Ask, Clerk, DenyReason, Estimate, Held, Lines, Mode, Owner, Record, Refusal, RuleLine,
    RuleSet, Saved, SpendLine, SpendWindow, Subject, Table, TimeZone,
};
use llm_core::usage::Usage;
use proptest::prelude::*;

const SLOTS: usize = 513;
const START_MS: u64 = 1_790_000_000_000;
const REQUESTS: u64 = 20;
const PLACES: u64 = 3;
/// In pico-units: a project has this much a day, an organisation that much in all.
const BUDGETS: [u128; 2] = [1_000_000_000, 4_000_000_000];
/// In pico-units, of a token of either kind.
const PRICE: u64 = 1_000_000;

const SUBJECT: Subject<'_> = Subject {
    requested_provider: "deepseek",
    requested_model: Some("deepseek-chat"),
    provider: "deepseek",
    model: Some("deepseek-chat"),
    is_translated: false,
};

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn rules() -> RuleSet {
    let rule = |text: &str| RuleLine::parse(&words(text)).unwrap();
    let spend = |text: &str| SpendLine::parse(&words(text)).unwrap();
    RuleSet::new(&Lines {
        rules: vec![
            rule("$org requests 20/m"),
            rule("$org tokens 20000/m"),
            rule("$org concurrency 3"),
        ],
        spend: vec![
            spend("project usd $org $project 0.001 window=day"),
            spend("organization usd $org 0.004 window=total"),
        ],
        ..Lines::default()
    })
    .unwrap()
}

fn rates() -> Rates {
    let rate = Rate::from_pico_per_token(PRICE).unwrap();
    Rates::flat(rate, rate)
}

/// Whose budget and from when on: what a record is for.
type Account = (Vec<u8>, u64);

/// One request under way, as the ledger sees it.
struct Open {
    worker: usize,
    org: usize,
    held: Vec<Held>,
    accounts: [Account; 2],
    reserved: u128,
}

/// One budget, as the ledger sees it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    spent: u128,
    reserved: u128,
}

/// A settlement in the journal.
struct Entry {
    epoch: u64,
    account: Account,
    charge: SpendCharge,
}

struct World {
    set: RuleSet,
    slots: Vec<Record>,
    owners: Vec<(u64, Owner)>,
    next_owner: u64,
    now_ms: u64,
    /// The clock does not go back behind it.
    earliest_ms: u64,
    open: Vec<Open>,
    /// What killed workers held and nobody has given back yet.
    orphans: Vec<Open>,
    books: BTreeMap<Account, Sums>,
    keys: HashMap<u64, Account>,
    journal: Vec<Entry>,
    /// The epoch that has ended and has not been saved.
    ended: Option<u64>,
    checkpoint: Option<(u64, Vec<Saved>)>,
    /// By organisation: requests that were counted, and how far the clock has gone forward since.
    requests: HashMap<usize, u64>,
    forward_ms: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Admit { worker: usize, org: usize, project: usize, prompt: u64, output: u64 },
    Settle { which: usize, tokens: u64, price: u64, is_late: bool },
    Release { which: usize },
    Forward { ms: u64 },
    Back { ms: u64 },
    Kill { worker: usize },
    Sweep,
    EndEpoch,
    Save,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_usize, 0..2_usize, 0..2_usize, 0..200_u64, 1..300_u64).prop_map(
            |(worker, org, project, prompt, output)| Step::Admit { worker, org, project, prompt, output }
        ),
        8 => (any::<usize>(), 0..600_u64, 0..700_000_000_u64, any::<bool>()).prop_map(
            |(which, tokens, price, is_late)| Step::Settle { which, tokens, price, is_late }
        ),
        2 => any::<usize>().prop_map(|which| Step::Release { which }),
        4 => prop_oneof![0..2000_u64, 0..60_000_u64, 0..100_000_000_u64]
            .prop_map(|ms| Step::Forward { ms }),
        1 => prop_oneof![0..4000_u64, 0..100_000_000_u64].prop_map(|ms| Step::Back { ms }),
        1 => (0..3_usize).prop_map(|worker| Step::Kill { worker }),
        1 => Just(Step::Sweep),
        2 => Just(Step::EndEpoch),
        2 => Just(Step::Save),
        1 => Just(Step::Restart),
    ]
}

impl World {
    fn new() -> Self {
        let mut slots = vec![Record::default(); SLOTS];
        assert!(Table::new(&mut slots).begin_restore(0));
        Self {
            set: rules(),
            slots,
            owners: (1..4).map(|id| (id, Owner::new(id))).collect(),
            next_owner: 4,
            now_ms: START_MS,
            earliest_ms: 0,
            open: Vec::new(),
            orphans: Vec::new(),
            books: BTreeMap::new(),
            keys: HashMap::new(),
            journal: Vec::new(),
            ended: None,
            checkpoint: None,
            requests: HashMap::new(),
            forward_ms: 0,
        }
    }

    fn clerk<R>(&mut self, worker: usize, work: impl FnOnce(&mut Clerk<'_>) -> R) -> R {
        let Self { slots, owners, now_ms, .. } = self;
        let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| work(&mut Table::new(slots));
        work(&mut Clerk::new(&mut with, &mut owners[worker].1, *now_ms))
    }

    fn asks(&self, org: usize, project: usize, estimate: &Estimate) -> Vec<Ask> {
        let values = [org.to_string(), project.to_string()];
        let keys: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(self.set.keys(), ["$org", "$project"]);
        let (mut asks, rates) = (Vec::new(), rates());
        self.set.ask_request(&SUBJECT, &keys, estimate, &mut asks).unwrap();
        let now_s = self.now_ms / 1000;
        self.set.ask_spend("usd", &keys, estimate, Some(&rates), now_s, &mut asks).unwrap();
        assert_eq!(asks.len(), 5);
        asks
    }

    fn accounts(&self, org: usize, project: usize) -> [Account; 2] {
        let day = SpendWindow::Day.window(&TimeZone::default(), self.now_ms / 1000);
        [(format!("{org}/{project}").into_bytes(), day.start_s), (format!("{org}").into_bytes(), 0)]
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Admit { worker, org, project, prompt, output } => {
                self.admit(worker, org, project, &Estimate::new(prompt, Some(output), None));
            }
            Step::Settle { which, tokens, price, is_late } => {
                if !self.open.is_empty() {
                    let open = self.open.swap_remove(which % self.open.len());
                    self.settle(open, tokens, price.into(), is_late);
                }
            }
            Step::Release { which } => {
                if !self.open.is_empty() {
                    let mut open = self.open.swap_remove(which % self.open.len());
                    self.clerk(open.worker, |clerk| clerk.release(&mut open.held, 0));
                    *self.requests.get_mut(&open.org).unwrap() -= 1;
                    self.unreserve(&open);
                }
            }
            Step::Forward { ms } => {
                self.now_ms += ms;
                self.forward_ms += ms;
            }
            Step::Back { ms } => self.now_ms = (self.now_ms - ms).max(self.earliest_ms),
            Step::Kill { worker } => self.kill(worker),
            Step::Sweep => self.sweep(),
            Step::EndEpoch => {
                if self.ended.is_none() {
                    self.ended = Some(Table::new(&mut self.slots).end_epoch());
                }
            }
            Step::Save => self.save(),
            Step::Restart => self.restart(),
        }
    }

    fn admit(&mut self, worker: usize, org: usize, project: usize, estimate: &Estimate) {
        let asks = self.asks(org, project, estimate);
        let accounts = self.accounts(org, project);
        let reserved = u128::from((estimate.prompt_tokens + estimate.output_tokens) * PRICE);
        let mut held = Vec::new();
        let refused = self.clerk(worker, |clerk| clerk.take(&asks, Mode::Enforce, &mut held));
        let under_way = self.open.iter().chain(&self.orphans).filter(|one| one.org == org).count();
        let has_place = (under_way as u64) < PLACES;
        let has_money = accounts.iter().zip(BUDGETS).all(|(account, budget)| {
            let sums = self.books.get(account).copied().unwrap_or_default();
            sums.spent + sums.reserved + reserved <= budget
        });
        let Some(refused) = refused else {
            assert!(has_place && has_money);
            for (account, one) in
                accounts.iter().zip(held.iter().filter(|one| one.charge(Pico::ZERO).is_some()))
            {
                self.keys.insert(one.ask.key, account.clone());
                self.books.entry(account.clone()).or_default().reserved += reserved;
            }
            *self.requests.entry(org).or_default() += 1;
            self.open.push(Open { worker, org, held, accounts, reserved });
            return;
        };
        assert!(held.is_empty());
        let refusal = self.set.refusal(&refused, self.now_ms);
        match refusal.reason {
            DenyReason::Concurrency => assert!(!has_place),
            DenyReason::Spend => assert!(has_place && !has_money),
            DenyReason::Requests | DenyReason::Tokens => self.check_wait(&refusal, &asks),
            other => panic!("{other:?}"),
        }
        // A budget's record may have been made, with nothing in it.
        for account in accounts {
            self.books.entry(account).or_default();
        }
    }

    /// What must wait passes after that time and not before.
    fn check_wait(&self, refusal: &Refusal, asks: &[Ask]) {
        let wait_ms = refusal.retry_after_ms.unwrap();
        assert!(wait_ms > 0);
        for (ms, must_wait) in [(wait_ms - 1, true), (wait_ms, false)] {
            let (mut slots, mut held) = (self.slots.clone(), Vec::new());
            let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| work(&mut Table::new(&mut slots));
            let mut owner = Owner::new(99);
            let now_ms = self.now_ms + ms;
            let refused =
                Clerk::new(&mut with, &mut owner, now_ms).take(asks, Mode::Enforce, &mut held);
            let again = refused.map(|refused| self.set.refusal(&refused, now_ms));
            let waits = again.is_some_and(|again| again.scope == refusal.scope);
            assert_eq!(waits, must_wait, "{refusal:?} {ms}");
        }
    }

    fn settle(&mut self, mut open: Open, tokens: u64, price: u128, is_late: bool) {
        // Somebody may have read the epoch just before it ended.
        let late = self.ended.filter(|_| is_late);
        let epoch = late.unwrap_or_else(|| Table::new(&mut self.slots).epoch());
        let charges = open.held.iter().filter_map(|one| one.charge(Pico(price)));
        let charges: Vec<_> = open.accounts.iter().cloned().zip(charges).collect();
        for (account, charge) in charges {
            self.books.get_mut(&account).unwrap().spent += price;
            self.journal.push(Entry { epoch, account, charge });
        }
        let usage = Usage::of(tokens, 0).buckets();
        let actual = Actual { tokens: Some(usage), price: Pico(price) };
        self.clerk(open.worker, |clerk| clerk.settle(&mut open.held, &actual, epoch));
        self.unreserve(&open);
    }

    fn unreserve(&mut self, open: &Open) {
        for account in &open.accounts {
            self.books.get_mut(account).unwrap().reserved -= open.reserved;
        }
    }

    fn kill(&mut self, worker: usize) {
        let (dead, alive) = self.open.drain(..).partition(|open| open.worker == worker);
        self.open = alive;
        self.orphans.extend::<Vec<_>>(dead);
        self.owners[worker] = (self.next_owner, Owner::new(self.next_owner));
        self.next_owner += 1;
    }

    fn sweep(&mut self) {
        let alive: Vec<_> = self.owners.iter().map(|(id, _)| *id).collect();
        let now_ms = self.now_ms;
        for start in (0..SLOTS).step_by(64) {
            let mut table = Table::new(&mut self.slots);
            table.sweep(start..(start + 64).min(SLOTS), |id| alive.contains(&id), now_ms);
        }
        for orphan in std::mem::take(&mut self.orphans) {
            self.unreserve(&orphan);
        }
    }

    /// What is saved is exactly what the journal bears until the end of the epoch.
    fn save(&mut self) {
        let Some(ended) = self.ended.take() else { return };
        let mut saved = Vec::new();
        for start in (0..SLOTS).step_by(100) {
            let slots = start..(start + 100).min(SLOTS);
            Table::new(&mut self.slots).snapshot(slots, ended, self.now_ms, &mut saved);
        }
        let saved: Vec<_> =
            saved.iter().map(|one| Saved::from_bytes(&one.to_bytes()).unwrap()).collect();
        let mut slots = vec![Record::default(); SLOTS];
        let mut table = Table::new(&mut slots);
        for one in &saved {
            assert!(table.restore(one, self.now_ms));
        }
        for budget in (0..SLOTS).filter_map(|slot| table.budget(slot)) {
            let Some(account) = self.keys.get(&budget.key) else { continue };
            let entries = self.journal.iter().filter(|one| one.account == *account);
            let sum: u128 =
                entries.filter(|one| one.epoch <= ended).map(|one| one.charge.pico.0).sum();
            assert_eq!((budget.spent.0, budget.reserved.0), (sum, 0));
        }
        self.checkpoint = Some((ended, saved));
        // Days that are over are not in it: a clock that goes back to them would miss them.
        self.earliest_ms = self.earliest_ms.max(self.now_ms);
    }

    fn restart(&mut self) {
        self.slots = vec![Record::default(); SLOTS];
        let (cut, saved) = self.checkpoint.clone().unwrap_or_default();
        let has_checkpoint = self.checkpoint.is_some();
        let now_ms = self.now_ms;
        let mut table = Table::new(&mut self.slots);
        assert!(table.begin_restore(cut));
        assert!(saved.iter().all(|one| table.restore(one, now_ms)));
        for entry in &self.journal {
            if !has_checkpoint || entry.epoch > cut {
                assert!(table.replay(&entry.charge, START_MS, now_ms));
            }
        }
        let last = self.journal.iter().map(|entry| entry.epoch).max();
        table.raise_epoch(last.map_or(0, |last| last + 1));
        for worker in 0..3 {
            self.kill(worker);
        }
        self.orphans.clear();
        self.ended = None;
        self.earliest_ms = now_ms;
        self.requests.clear();
        self.forward_ms = 0;
        // What is under way is forgotten, and so are days that are over.
        let today = SpendWindow::Day.window(&TimeZone::default(), now_ms / 1000).start_s;
        self.books.retain(|(_, start_s), _| *start_s == 0 || *start_s >= today);
        for sums in self.books.values_mut() {
            sums.reserved = 0;
        }
        let books = &self.books;
        self.keys.retain(|_, account| books.contains_key(account));
    }

    fn check(&mut self) {
        let table = Table::new(&mut self.slots);
        let mut found = 0;
        for budget in (0..SLOTS).filter_map(|slot| table.budget(slot)) {
            let Some(account) = self.keys.get(&budget.key) else { continue };
            let sums = Sums { spent: budget.spent.0, reserved: budget.reserved.0 };
            assert_eq!(Some(&sums), self.books.get(account), "{account:?}");
            found += usize::from(sums != Sums::default());
        }
        let live = self.books.values().filter(|sums| **sums != Sums::default());
        assert_eq!(found, live.count());
        assert_eq!(table.stats().full, 0);
        for requests in self.requests.values() {
            assert!(*requests <= REQUESTS + self.forward_ms * REQUESTS / 60_000, "{requests}");
        }
    }

    /// Nothing is left behind.
    fn end(&mut self) {
        for open in std::mem::take(&mut self.open) {
            self.settle(open, 1, 1, false);
        }
        self.sweep();
        self.check();
        let mut owners = Vec::new();
        Table::new(&mut self.slots).owners(0..SLOTS, &mut owners);
        assert!(owners.is_empty(), "{owners:?}");
        assert!(self.books.values().all(|sums| sums.reserved == 0));
        // All places are free again.
        self.now_ms += 10 * 86_400_000;
        self.forward_ms += 10 * 86_400_000;
        for place in 0..PLACES {
            let asks = self.asks(7, 7, &Estimate::new(1, Some(1), None));
            let mut held = Vec::new();
            let refused = self.clerk(0, |clerk| clerk.take(&asks, Mode::Enforce, &mut held));
            assert_eq!(refused, None, "{place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_history_adds_up(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
        world.end();
    }
}

#[test]
fn sixty_four_at_once_against_a_budget_for_one_are_one() {
    let set = RuleSet::new(&Lines {
        spend: vec![SpendLine::parse(&words("project usd $project 0.0001")).unwrap()],
        ..Lines::default()
    })
    .unwrap();
    let zone = Mutex::new(vec![Record::default(); 257]);
    let admit = |worker: u64| {
        let (mut asks, mut held, mut owner) = (Vec::new(), Vec::new(), Owner::new(worker));
        // Exactly the budget.
        let estimate = Estimate::new(60, Some(40), None);
        let rates = rates();
        set.ask_spend("usd", &[b"p"], &estimate, Some(&rates), START_MS / 1000, &mut asks).unwrap();
        let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| {
            work(&mut Table::new(&mut zone.lock().unwrap()));
        };
        Clerk::new(&mut with, &mut owner, START_MS).take(&asks, Mode::Enforce, &mut held).is_none()
    };
    let admitted = thread::scope(|scope| {
        let workers: Vec<_> = (1..=64).map(|worker| scope.spawn(move || admit(worker))).collect();
        workers.into_iter().map(|one| one.join().unwrap()).filter(|ok| *ok).count()
    });
    assert_eq!(admitted, 1);
}
