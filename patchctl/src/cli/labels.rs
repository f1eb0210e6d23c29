//! Whose work an edit is.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use patchcore::operation::Labels;

/// Labels that go before the input's own; each may also come from the environment.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = None::<&'static str>)]
pub(crate) struct LabelArgs {
    /// Id of the batch; one that was committed is not applied again [env: PATCHCTL_BATCH_ID]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) batch_id: Option<String>,
    /// The order that the work belongs to [env: PATCHCTL_ORDER_ID]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order_id: Option<String>,
    /// The task that the work belongs to [env: PATCHCTL_TASK_ID]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) task_id: Option<String>,
    /// The factory that runs the agent [env: PATCHCTL_FACTORY]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) factory: Option<String>,
    /// The phase of the order [env: PATCHCTL_PHASE]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) phase: Option<String>,
    /// The agent that made the edit [env: PATCHCTL_AGENT]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) agent: Option<String>,
}

impl LabelArgs {
    /// The labels, from the options or else the environment, where what is empty is not set.
    ///
    /// # Errors
    /// Where a variable is not UTF-8.
    pub(crate) fn labels(&self) -> Result<Labels, NotUtf8> {
        Ok(Labels {
            order_id: given(&self.order_id, "PATCHCTL_ORDER_ID")?,
            task_id: given(&self.task_id, "PATCHCTL_TASK_ID")?,
            factory: given(&self.factory, "PATCHCTL_FACTORY")?,
            phase: given(&self.phase, "PATCHCTL_PHASE")?,
            agent: given(&self.agent, "PATCHCTL_AGENT")?,
        })
    }

    /// The batch's id, likewise.
    pub(crate) fn batch_id(&self) -> Result<Option<String>, NotUtf8> {
        given(&self.batch_id, BATCH_ID)
    }
}

/// Names the batch, for the commands that send one.
pub(crate) const BATCH_ID: &str = "PATCHCTL_BATCH_ID";

fn given(option: &Option<String>, variable: &str) -> Result<Option<String>, NotUtf8> {
    match option {
        Some(_) => Ok(option.clone()),
        None => text_of(variable),
    }
}

/// The text of a variable of the environment; `None` where it is not set, or empty.
pub(crate) fn text_of(variable: &str) -> Result<Option<String>, NotUtf8> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    let value = value.map(std::ffi::OsString::into_string).transpose();
    value.map_err(|_| NotUtf8(variable.to_owned()))
}

/// A variable of the environment whose value is not UTF-8.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not UTF-8")]
pub(crate) struct NotUtf8(String);
