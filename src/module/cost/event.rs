//! What is remembered of a request: its event, gathered when it has ended.

use llm_core::cost::{AttemptRow, Bill, CostEvent, SpendCharge, Text, UsageSource};

use super::{Rules, Whose};
use crate::attempt::Note;
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::{Request, unix_ms};

/// The event of a request that has ended; `charges` were booked in `epoch`.
pub fn event(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    bill: &Bill,
    charges: Vec<SpendCharge>,
    epoch: u64,
) -> CostEvent {
    let rules = &routed.compiled.cost;
    let name = |text: Option<&str>| text.map(Text::new).unwrap_or_default();
    let label = |whose| name(rules.label(r, whose).as_deref());
    let provider = routed.provider().map(|provider| provider.name.as_str());
    let primary = routed.primary().map(|provider| provider.name.as_str());
    let asked = ctx.asked();
    let facts = asked.as_ref().and_then(|asked| asked.facts.as_ref());
    let requested_model = facts.and_then(|facts| facts.model.as_ref()).map(|model| &*model.text);
    CostEvent {
        event_id: Text::new(&ctx.event_id),
        provider: name(provider),
        model: name(routed.model()),
        cost_unit: Text::new(rules.card.unit(provider.unwrap_or_default())),
        traffic_cohort: cohort(r, ctx, rules),
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
        fallback_reason: name(ctx.attempt.reason.get()),
        chain: Text::long(ctx.attempt.chain.borrow().text()),
        ttft_ms: ctx.ttft_ms.get(),
        first_attempt_ms: ctx.attempt.first_duration_ms(r),
        tag: name(ctx.tag.borrow().as_deref()),
        node: Text::new(&crate::identity::node()),
        created_at_ms: unix_ms(),
        tags: rules
            .tags
            .iter()
            .filter_map(|(name, value)| Some((Text::new(name), Text::new(&value.evaluate(r)?))))
            .collect(),
        charges,
        epoch,
        writes_row: rules.on && bill.status.writes_row(),
    }
}

/// What the operator says, else what happened to the request.
fn cohort(r: Request<'_>, ctx: &RequestCtx, rules: &Rules) -> Text {
    match rules.label(r, Whose::TrafficCohort) {
        Some(cohort) => Text::new(&cohort),
        None if ctx.attempt.reason.get().is_some() => Text::new("fallback"),
        None => Text::new("default"),
    }
}

fn attempts(r: Request<'_>, ctx: &RequestCtx, routed: &Routed, bill: &Bill) -> Vec<AttemptRow> {
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
            provider: provider.map(|provider| Text::new(&provider.name)).unwrap_or_default(),
            model: target.and_then(|t| t.model.as_deref()).map(Text::new).unwrap_or_default(),
            key_id: key.map(|key| Text::new(&key.id)).unwrap_or_default(),
            outcome: Text::new(crate::metrics::end(r, ctx, note, is_last).name()),
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
