//! Tells the webhook of what is wrong and the dead-man switch that the service works, beside the schedule and with the same settings.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::commands::status;
use crate::config::settings::Settings;
use crate::model::liveness::Liveness;
use crate::model::metrics::Messages;
use crate::model::ports::Observer as _;
use crate::notify::rounds::{Pace, Rounds};
use crate::notify::sender::Sender;
use crate::web::server::Health;

/// Heartbeats of the schedule between two looks at what is wrong.
const HEARTBEATS_OF_A_ROUND: u32 = 6;

/// Tells until `stop`, where the settings say to whom. The work is to become a task of its own: it owns what it needs.
pub(super) fn tell(
    settings: &Settings,
    app: &App,
    sender: Sender,
    (liveness, messages): (&Liveness, &Arc<Messages>),
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let has_someone = sender.has_webhook() || sender.has_heartbeat();
    let notify = &settings.notify;
    let health = Health::new(liveness.clone(), settings.schedule.heartbeat);
    let rounds = Rounds {
        store: Arc::new(app.store.clone()),
        sender,
        pace: Pace {
            every: settings.schedule.heartbeat * HEARTBEATS_OF_A_ROUND,
            remind_after: notify.remind_after,
            remind_at_most: notify.remind_at_most,
            heartbeat_every: notify.heartbeat_every,
            longest_silence: health.longest_silence(),
        },
        goals: settings.goals(),
        messages: Arc::clone(messages),
    };
    let (liveness, settings) = (liveness.clone(), Arc::new(settings.clone()));
    let look = {
        let store = Arc::clone(&rounds.store);
        move || {
            let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
            async move { Ok(status::judged(store.status().await?, &settings)) }
        }
    };
    async move {
        if has_someone {
            rounds.run(look, &liveness, &stop).await;
        }
    }
}
