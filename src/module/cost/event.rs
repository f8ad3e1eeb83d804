//! What is remembered of a request: its event, gathered when it has ended.

use llm_core::cost::{AttemptRow, Bill, CostEvent, SpendCharge, UsageSource, brief, long};

use super::Whose;
use crate::attempt::Note;
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::{Request, unix_ms};

/// Hands `work` the event of a request that has ended; `charges` were booked in `epoch`.
pub fn with_event<R>(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    bill: &Bill,
    charges: Vec<SpendCharge>,
    epoch: u64,
    work: impl FnOnce(&CostEvent<&str>) -> R,
) -> R {
    let rules = &routed.compiled.cost;
    // Before anything is borrowed: the operator's variables may ask us.
    let labels = Whose::ALL.map(|whose| rules.label(r, whose));
    let tags = rules.tags.iter().map(|(name, value)| (name.as_str(), value.evaluate(r)));
    let tags: Vec<_> = tags.collect();
    let label = |whose: Whose| name(labels.get(whose as usize).and_then(Option::as_deref));
    let provider = routed.provider();
    let primary = routed.primary().map(|provider| provider.name.as_str());
    let asked = ctx.asked();
    let facts = asked.as_ref().and_then(|asked| asked.facts.as_ref());
    let requested_model = facts.and_then(|facts| facts.model.as_ref()).map(|model| &*model.text);
    let (chain, tag) = (ctx.attempt.chain.borrow(), ctx.tag.borrow());
    let reason = ctx.attempt.reason.get();
    // What the operator says, else what happened to the request.
    let cohort = if reason.is_some() { "fallback" } else { "default" };
    let node = r.hostname();
    work(&CostEvent {
        event_id: brief(&ctx.event_id),
        provider: name(provider.map(|provider| provider.name.as_str())),
        model: name(routed.model()),
        cost_unit: brief(rules.unit(routed.target())),
        traffic_cohort: match label(Whose::TrafficCohort) {
            "" => cohort,
            told => told,
        },
        is_streaming: ctx.is_streaming(),
        tokens: bill.tokens,
        cost: bill.cost,
        status: bill.status,
        status_code: r.status(),
        duration_ms: r.elapsed_ms(),
        identity: label(Whose::Identity),
        user_id: label(Whose::User),
        team_id: label(Whose::Team),
        auth_key_fingerprint: label(Whose::AuthFingerprint),
        rate_card_version: name(rules.card.version()),
        requested_provider: name(routed.requested_provider.as_deref().or(primary)),
        requested_model: name(requested_model),
        translation_happened: false,
        resolution_outcome: name(ctx.resolution_outcome()),
        org: label(Whose::Org),
        project: label(Whose::Project),
        client: label(Whose::Client),
        rates: bill.rates,
        usage_source: bill.source,
        attempts: attempts(r, ctx, routed, bill),
        primary_provider: name(primary),
        fallback_reason: name(reason),
        chain: long(chain.text()),
        ttft_ms: ctx.ttft_ms.get(),
        first_attempt_ms: ctx.attempt.first_duration_ms(r),
        tag: name(tag.as_deref()),
        node: brief(&node),
        created_at_ms: unix_ms(),
        tags: tags
            .iter()
            .filter_map(|(name, value)| Some((brief(name), brief(value.as_deref()?))))
            .collect(),
        charges,
        epoch,
        writes_row: rules.on && bill.status.writes_row(),
    })
}

fn name(text: Option<&str>) -> &str {
    text.map(brief).unwrap_or_default()
}

fn attempts<'a>(
    r: Request<'_>,
    ctx: &'a RequestCtx,
    routed: &'a Routed,
    bill: &Bill,
) -> Vec<AttemptRow<&'a str>> {
    let notes = ctx.attempt.notes.borrow();
    let accepted = ctx.attempt.accepted.get();
    let started_at_ms = unix_ms().saturating_sub(r.elapsed_ms());
    let row = |(index, note): (usize, &Note)| {
        let target = routed.targets.get(note.target);
        let provider = target.and_then(|t| routed.compiled.routes.provider(t.provider));
        let is_last = index + 1 == notes.len() && accepted;
        let duration_ms = crate::metrics::duration_ms(r, note, is_last);
        let key = ctx.known_keys().zip(note.key);
        let key = key.and_then(|(keys, number)| keys.keyring.safe.credentials.key(number));
        AttemptRow {
            attempt_no: u32::try_from(index + 1).unwrap_or(u32::MAX),
            provider: name(provider.map(|provider| provider.name.as_str())),
            model: name(target.and_then(|target| target.model.as_deref())),
            key_id: name(key.map(|key| key.id.as_str())),
            outcome: crate::metrics::end(r, ctx, note, is_last).name(),
            status_code: note.status,
            started_at_ms: started_at_ms + note.started_ms,
            duration_ms,
            first_byte_ms: note.head_ms,
            prompt_tokens: bill.tokens.prompt.filter(|_| is_last),
            completion_tokens: bill.tokens.completion.filter(|_| is_last),
            usage_source: if is_last { bill.source } else { UsageSource::None },
        }
    };
    notes.iter().enumerate().map(row).collect()
}
