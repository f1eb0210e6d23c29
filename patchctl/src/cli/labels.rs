//! Whose work an edit is.

use clap::Args;
use patchcore::operation::Labels;

/// Labels that go before the input's own; each may also come from the environment.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = None::<&'static str>)]
pub(crate) struct LabelArgs {
    /// Id of the batch; one that was committed is not applied again [env: PATCHCTL_BATCH_ID]
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) batch_id: Option<String>,
    /// The order that the work belongs to [env: PATCHCTL_ORDER_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) order_id: Option<String>,
    /// The task that the work belongs to [env: PATCHCTL_TASK_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) task_id: Option<String>,
    /// The factory that runs the agent [env: PATCHCTL_FACTORY]
    #[arg(long, value_name = "NAME")]
    pub(crate) factory: Option<String>,
    /// The phase of the order [env: PATCHCTL_PHASE]
    #[arg(long, value_name = "NAME")]
    pub(crate) phase: Option<String>,
    /// The agent that made the edit [env: PATCHCTL_AGENT]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

impl LabelArgs {
    /// The labels, from the options or else the environment; what is empty is not set.
    pub(crate) fn labels(&self) -> Labels {
        Labels {
            order_id: given(&self.order_id, "PATCHCTL_ORDER_ID"),
            task_id: given(&self.task_id, "PATCHCTL_TASK_ID"),
            factory: given(&self.factory, "PATCHCTL_FACTORY"),
            phase: given(&self.phase, "PATCHCTL_PHASE"),
            agent: given(&self.agent, "PATCHCTL_AGENT"),
        }
    }

    /// The batch's id, likewise.
    pub(crate) fn batch_id(&self) -> Option<String> {
        given(&self.batch_id, "PATCHCTL_BATCH_ID")
    }
}

fn given(option: &Option<String>, variable: &str) -> Option<String> {
    let value = option.clone().or_else(|| std::env::var(variable).ok());
    value.filter(|value| !value.is_empty())
}
