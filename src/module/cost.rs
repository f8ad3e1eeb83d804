//! What did a request cost, and who is told? The log phase asks for the bill, the limits for prices
//! before anything is sent; `writer::ledger` takes the events to the journal and the databases.

mod event;

use std::borrow::Cow;
use std::path::PathBuf;

use llm_core::cost::{
    Answer, Backends, Bill, CachedRateLine, CostEvent, DEFAULT_UNIT, Dsn, End, Full, Guess,
    JournalLine, Pico, RateCard, RateLine, RateLines, RateUnitLine, Rates, Served, Status,
    TableName, TagLine, UsageMissing, file_path, rate_card_version,
};
use llm_core::fallback::Target;
use llm_core::request::estimate_tokens;
use llm_core::route::Routes;
use llm_core::surface;

use crate::conf::{Command, LocConf, MainConf};
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::value::{ComplexValue, Reading};
use crate::ffi::{Level, Request};
use crate::filter::StreamEnd;
use crate::setting::{command, first, inherit, list, once, put, switch, text};
use crate::writer::ledger;
use crate::{metrics, ratelimit};

use self::event::with_event;

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    rates: Option<Vec<RateLine>>,
    cached: Option<Vec<CachedRateLine>>,
    units: Option<Vec<RateUnitLine>>,
    version: Option<String>,
    missing: Option<UsageMissing>,
    labels: [Option<String>; LABELS.len()],
    tags: Option<Vec<TagLine>>,
}

/// What belongs to the http block as a whole.
#[derive(Default)]
pub struct MainLines {
    backends: Option<Backends>,
    path: Option<String>,
    dsn: Option<Dsn>,
    table: Option<TableName>,
    journal: Option<JournalLine>,
}

/// The directives that say whose a request is, in the order of [`Whose`].
const LABELS: [&surface::Directive; 8] = [
    &surface::LLM_COST_IDENTITY,
    &surface::LLM_COST_ORG,
    &surface::LLM_COST_PROJECT,
    &surface::LLM_COST_CLIENT,
    &surface::LLM_COST_USER,
    &surface::LLM_COST_TEAM,
    &surface::LLM_COST_AUTH_FINGERPRINT,
    &surface::LLM_COST_TRAFFIC_COHORT,
];

/// What is told of a request's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// `llm_cost_identity`
    Identity,
    /// `llm_cost_org`
    Org,
    /// `llm_cost_project`
    Project,
    /// `llm_cost_client`
    Client,
    /// `llm_cost_user`
    User,
    /// `llm_cost_team`
    Team,
    /// `llm_cost_auth_fingerprint`
    AuthFingerprint,
    /// `llm_cost_traffic_cohort`
    TrafficCohort,
}

/// A location's prices, and whose its requests are.
pub struct Rules {
    /// `llm_cost`
    pub on: bool,
    /// The prices.
    pub card: RateCard,
    /// The unit of each provider.
    units: Vec<String>,
    missing: UsageMissing,
    labels: [Option<ComplexValue>; LABELS.len()],
    tags: Vec<(String, ComplexValue)>,
}

impl Conf {
    /// Takes over what the enclosing level says and this one does not. Lists are replaced whole.
    pub fn inherit(&mut self, outer: &Self) {
        inherit(&mut self.on, &outer.on);
        inherit(&mut self.rates, &outer.rates);
        inherit(&mut self.cached, &outer.cached);
        inherit(&mut self.units, &outer.units);
        inherit(&mut self.version, &outer.version);
        inherit(&mut self.missing, &outer.missing);
        inherit(&mut self.tags, &outer.tags);
        for (own, outer) in self.labels.iter_mut().zip(&outer.labels) {
            inherit(own, outer);
        }
    }

    /// The rules that the lines mean.
    pub fn compile(&self, routes: &Routes, reading: &Reading) -> Result<Rules, String> {
        let lines = RateLines {
            rates: self.rates.clone().unwrap_or_default(),
            cached: self.cached.clone().unwrap_or_default(),
            units: self.units.clone().unwrap_or_default(),
            version: self.version.clone(),
        };
        let card = RateCard::new(&lines)?;
        let on = self.on.unwrap_or(false);
        let names: Vec<_> = routes.providers.iter().map(|p| p.name.as_str()).collect();
        let units = names.iter().map(|name| card.unit(name).to_owned()).collect();
        if on {
            card.warnings(&names).iter().for_each(|text| reading.warn(text));
        }
        let mut labels = [None; LABELS.len()];
        for ((compiled, text), directive) in labels.iter_mut().zip(&self.labels).zip(LABELS) {
            if let Some(text) = text {
                *compiled = Some(reading.value(text, directive.name())?);
            }
        }
        let tag = |line: &TagLine| {
            Ok::<_, String>((line.name.clone(), reading.value(&line.value, "llm_cost_tag")?))
        };
        let tags = self.tags.iter().flatten().map(tag).collect::<Result<_, _>>()?;
        let missing = self.missing.unwrap_or_default();
        Ok(Rules { on, card, units, missing, labels, tags })
    }
}

impl Whose {
    /// All of them.
    pub const ALL: [Self; LABELS.len()] = [
        Self::Identity,
        Self::Org,
        Self::Project,
        Self::Client,
        Self::User,
        Self::Team,
        Self::AuthFingerprint,
        Self::TrafficCohort,
    ];
}

impl Rules {
    /// What a target's costs are counted in.
    pub fn unit(&self, target: Option<&Target>) -> &str {
        let unit = target.and_then(|target| self.units.get(target.provider));
        unit.map_or(DEFAULT_UNIT, String::as_str)
    }

    /// What is told of the request's owner.
    pub fn label<'r>(&self, r: Request<'r>, whose: Whose) -> Option<Cow<'r, str>> {
        (*self.labels.get(whose as usize)?)?.evaluate(r)
    }
}

/// Where the ledger keeps its files, with the http block's lines.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which databases.
    pub backends: Backends,
    /// SQLite's file; the lines of `log` lie beside it.
    pub path: PathBuf,
    /// How to reach PostgreSQL.
    pub dsn: Option<Dsn>,
    /// Its table.
    pub table: TableName,
    /// The journal's line.
    pub journal: JournalLine,
    /// Its folder.
    pub journal_path: PathBuf,
}

impl MainLines {
    /// The files that the lines mean.
    pub fn store(&self, reading: &Reading) -> Result<Store, String> {
        let backends = self.backends.unwrap_or_default();
        if backends.postgres && self.dsn.is_none() {
            return Err("\"llm_cost_backend postgres\" needs \"llm_cost_dsn\", add it".to_owned());
        }
        let dsn = self.dsn.as_ref().map(|dsn| resolved(dsn, reading)).transpose()?;
        let path = self.path.as_deref().or(surface::LLM_COST_PATH.default);
        let journal = self.journal.clone().unwrap_or_default();
        Ok(Store {
            backends,
            path: reading.prefixed(path.unwrap_or_default()),
            dsn,
            table: self.table.clone().unwrap_or_default(),
            journal_path: reading.prefixed(&journal.directory),
            journal,
        })
    }
}

/// The text of an `env:` dsn, because nginx takes the environment from its workers, and a `file:` dsn with
/// its path in full.
fn resolved(dsn: &Dsn, reading: &Reading) -> Result<Dsn, String> {
    if let Some(name) = dsn.expose().strip_prefix("file:") {
        let path = reading.path(name);
        return Dsn::parse(&[&format!("file:{}", path.display())]);
    }
    let Some(name) = dsn.expose().strip_prefix("env:") else { return Ok(dsn.clone()) };
    let Ok(text) = std::env::var(name) else {
        return Err(format!("environment variable \"{name}\" of \"llm_cost_dsn\" is not set"));
    };
    Dsn::parse(&[&text])
}

impl Store {
    /// Whether new requests are refused while the journal is full.
    pub fn denies_when_full(&self) -> bool {
        self.journal.full == Full::Deny
    }
}

/// What a request is billed: at its end, or for now. `None` where nothing is counted.
pub fn bill(r: Request<'_>, ctx: &RequestCtx) -> Option<Bill> {
    if !ctx.endpoint.get().has_usage() {
        return None;
    }
    let Some(routed) = ctx.routed() else {
        let refused = Bill { status: Status::SkippedError, ..Bill::default() };
        return r.loc_conf().compiled.as_ref()?.cost.on.then_some(refused);
    };
    let rules = &routed.compiled.cost;
    if !rules.on && !routed.compiled.limits.on && !routed.compiled.metrics.on {
        return None;
    }
    let answer = answer(r, ctx);
    let rates = rates(ctx, &routed);
    Some(Bill::of(&answer, rates, rules.missing))
}

/// The request has ended, or its answer has gone out: its event goes to the journal, and what it took
/// of limits and budgets becomes what it used. In this order, so that a restart finds every charge;
/// once.
pub fn record(r: Request<'_>, ctx: &RequestCtx) {
    if ctx.recorded.replace(true) {
        return;
    }
    let bill = ctx.bill.get_or_init(|| bill(r, ctx).map(Box::new)).as_deref();
    let price = bill.and_then(|bill| bill.cost).map(|cost| cost.total).unwrap_or_default();
    let charges = ctx.limits.charges(price);
    let routed = ctx.routed();
    let routed = routed.as_deref();
    let is_billed = routed.is_some_and(|routed| routed.compiled.cost.on);
    let writes_row = is_billed && bill.is_some_and(|bill| bill.status.writes_row());
    let is_kept = writes_row || charges.iter().any(|charge| charge.pico != Pico::default());
    // Without a charge nothing is booked, now or after a restart.
    let epoch = if is_kept || !charges.is_empty() { ratelimit::epoch(r) } else { 0 };
    let mut dropped = false;
    if let Some((routed, bill)) = routed.zip(bill).filter(|_| is_kept) {
        dropped = with_event(r, ctx, routed, bill, charges, epoch, |event| {
            let appended = ledger::append(event);
            appended.inspect_err(|why| tell_lost(r, event, why)).is_err()
        });
        ctx.lost.set(dropped);
    }
    ratelimit::settle(r, ctx, bill, epoch);
    metrics::record(r, ctx, bill, dropped);
}

/// An event that the journal could not take is in the error log, with what is needed to enter it by
/// hand.
fn tell_lost<T: AsRef<str>>(r: Request<'_>, event: &CostEvent<T>, why: &str) {
    let total = event.cost.map(|cost| cost.total).unwrap_or_default();
    let text = format!(
        "llm: persist_failed, {why}: recovery_event_id={} provider=\"{}\" model=\"{}\" \
         prompt_tokens={} completion_tokens={} total_cost={total} cost_unit={}",
        event.event_id.as_ref(),
        event.provider.as_ref(),
        event.model.as_ref().escape_debug(),
        event.tokens.prompt.unwrap_or(0),
        event.tokens.completion.unwrap_or(0),
        event.cost_unit.as_ref(),
    );
    r.write_log(Level::Error, &text);
}

/// Whether a request would leave anything in the journal.
pub fn is_recorded(routed: &Routed) -> bool {
    routed.compiled.cost.on || routed.compiled.limits.has_budgets()
}

/// What the current target's tokens cost.
pub fn rates(ctx: &RequestCtx, routed: &Routed) -> Option<Rates> {
    card_rates(routed, routed.current.get()).or_else(|| ctx.limits.assumed_rates())
}

/// What the card says of a target. The one that was asked for last is known: it is asked for before
/// the request is sent and when it is over.
pub fn card_rates(routed: &Routed, index: usize) -> Option<Rates> {
    if let Some((known, rates)) = routed.rates.get()
        && known == index
    {
        return rates;
    }
    let target = routed.targets.get(index)?;
    let provider = routed.compiled.routes.provider(target.provider)?;
    let model = target.model.as_deref().unwrap_or_default();
    let rates = routed.compiled.cost.card.rates(&provider.name, model);
    routed.rates.set(Some((index, rates)));
    rates
}

fn answer(r: Request<'_>, ctx: &RequestCtx) -> Answer {
    const CLIENT_CLOSED_REQUEST: u16 = 499;
    let attempt = &ctx.attempt;
    let cached = r.is_cached();
    let served = match (cached, attempt.made.get()) {
        (true, _) => Served::Cache,
        (false, 0) => Served::Gateway,
        (false, _) => Served::Provider,
    };
    let left = r.is_client_gone() || ctx.client_gone.get();
    let progress = ctx.progress();
    let end = match ctx.stream_end(r) {
        Some(StreamEnd::Complete) => End::Complete,
        Some(StreamEnd::ClientClosed) => End::ClientClosed,
        Some(StreamEnd::Incomplete) => End::Incomplete,
        None if progress.whole => End::Complete,
        None if left => End::ClientClosed,
        None => End::Incomplete,
    };
    let accepted = attempt.accepted.get() || cached;
    let status_code = if left && !accepted { CLIENT_CLOSED_REQUEST } else { r.status() };
    Answer {
        status_code,
        served,
        end,
        usage: ctx.usage().unwrap_or_default(),
        finished: progress.finished,
        estimate: Guess {
            input_tokens: ctx.facts(|facts| estimate_tokens(facts.prompt_bytes)).unwrap_or(0),
            output_tokens: estimate_tokens(progress.content_bytes),
        },
        reserved: ctx.limits.reserved(),
    }
}

/// The bill for variables: only where requests are billed.
pub fn shown_bill(r: Request<'_>) -> Option<Bill> {
    let ctx = r.ctx()?;
    let on = match ctx.routed() {
        Some(routed) => routed.compiled.cost.on,
        None => r.loc_conf().ledger().is_some(),
    };
    // The one that was recorded stands; before, it is reckoned anew each time.
    let bill = match ctx.bill.get() {
        Some(recorded) => recorded.as_deref().copied(),
        None => bill(r, ctx),
    };
    let bill = bill.filter(|_| on)?;
    Some(if ctx.lost.get() { Bill { status: Status::PersistFailed, ..bill } } else { bill })
}

/// What is told of the request's owner, where requests are billed.
pub fn shown_label(r: Request<'_>, whose: Whose) -> Option<Cow<'_, str>> {
    r.loc_conf().ledger()?.label(r, whose)
}

macro_rules! label {
    ($directive:ident, $whose:ident) => {
        command!($directive, |args, conf| {
            let name = surface::$directive.name();
            match conf.cost.labels.get_mut(Whose::$whose as usize) {
                Some(field) => put(name, field, args, text(args), "a value"),
                None => Ok(()),
            }
        })
    };
}

/// The room's directives.
pub const COMMANDS: [Command; 20] = [
    switch!(LLM_COST, cost.on),
    once!(main LLM_COST_BACKEND, cost.backends, |_, args| Backends::parse(args)),
    once!(main LLM_COST_PATH, cost.path, |name, args| file_path(name, first(args))),
    once!(main LLM_COST_DSN, cost.dsn, |_, args| Dsn::parse(args)),
    once!(main LLM_COST_TABLE, cost.table, |_, args| TableName::parse(args)),
    once!(main LLM_COST_JOURNAL, cost.journal, |_, args| JournalLine::parse(args)),
    list!(LLM_COST_RATE, cost.rates, |_, args| RateLine::parse(args)),
    list!(LLM_COST_CACHED_RATE, cost.cached, |_, args| CachedRateLine::parse(args)),
    list!(LLM_COST_RATE_UNIT, cost.units, |_, args| RateUnitLine::parse(args)),
    once!(LLM_COST_RATE_CARD_VERSION, cost.version, |_, args| rate_card_version(args)),
    label!(LLM_COST_IDENTITY, Identity),
    label!(LLM_COST_ORG, Org),
    label!(LLM_COST_PROJECT, Project),
    label!(LLM_COST_CLIENT, Client),
    label!(LLM_COST_USER, User),
    label!(LLM_COST_TEAM, Team),
    label!(LLM_COST_AUTH_FINGERPRINT, AuthFingerprint),
    label!(LLM_COST_TRAFFIC_COHORT, TrafficCohort),
    command!(LLM_COST_TAG, |args, conf| {
        let tags = conf.cost.tags.get_or_insert_default();
        let tag = TagLine::parse(args, tags)?;
        tags.push(tag);
        Ok(())
    }),
    once!(LLM_COST_USAGE_MISSING, cost.missing, |_, args| UsageMissing::parse(args)),
];

impl LocConf {
    /// The location's prices, where requests are billed.
    pub fn ledger(&self) -> Option<&Rules> {
        self.compiled.as_ref().map(|compiled| &compiled.cost).filter(|rules| rules.on)
    }
}

impl MainConf {
    /// Whether any location bills its requests, or has limits that outlive a restart.
    pub fn needs_ledger(&self) -> bool {
        self.compiled.iter().any(|compiled| compiled.cost.on || compiled.limits.on)
    }
}
