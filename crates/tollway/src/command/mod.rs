//! Every command: one file each, one table. Adding one means one file with one `impl`, and one line
//! in [`COMMANDS`].

mod admin_bake;
mod admin_challenges;
mod admin_config;
mod admin_health;
mod admin_narrow;
mod admin_payments;
mod admin_reload;
mod admin_revoke;
mod admin_service;
mod admin_services;
mod admin_tokens;
mod admin_totals;
mod budget;
mod completions;
mod config;
mod demo;
mod devnet;
mod discover;
mod get;
mod import;
mod invoice_decode;
mod node_address;
mod node_backup;
mod node_balance;
mod node_channels;
mod node_close_channel;
mod node_decode;
mod node_doctor;
mod node_info;
mod node_invoice;
mod node_open_channel;
mod node_pay;
mod node_payments;
mod node_restore;
mod node_run;
mod node_setup;
mod node_withdraw;
mod nwc_add;
mod nwc_list;
mod nwc_revoke;
mod pay_proxy;
mod receipts;
mod resume;
mod sell;
pub(crate) mod serve;
mod token_attenuate;
mod token_inspect;
mod tokens;
mod wallet;
mod wallet_seal;

use async_trait::async_trait;
use clap::ArgMatches;

use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// One command of the binary.
#[async_trait]
pub(crate) trait Command: Send + Sync {
    /// Its words, as they are typed: `get`, or `token inspect` for one of a group.
    fn name(&self) -> &'static str;

    /// Its arguments and help, with at least one example.
    fn define(&self, command: clap::Command) -> clap::Command;

    /// Whether it serves others for as long as it runs, on all cores. What does not has one thread:
    /// nothing then has to wake another one, which is most of what a short command would wait for.
    fn serves(&self) -> bool {
        false
    }

    /// Does it. What it returns is printed on stdout in the format that was asked for; talk goes to
    /// stderr by way of the shell, as it happens.
    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure>;
}

/// Every command there is.
pub(crate) static COMMANDS: &[&dyn Command] = &[
    &demo::Demo,
    &get::Get,
    &resume::Resume,
    &discover::Discover,
    &pay_proxy::PayProxyCommand,
    &sell::Sell,
    &serve::Serve,
    &import::Import,
    &devnet::DevnetUp,
    &completions::Completions,
    &completions::Man,
    &tokens::TokensList,
    &tokens::TokensShow,
    &tokens::TokensForget,
    &receipts::ReceiptsList,
    &receipts::ReceiptsShow,
    &receipts::ReceiptsExport,
    &budget::BudgetShow,
    &budget::BudgetSet,
    &budget::BudgetDrop,
    &budget::BudgetReset,
    &wallet::WalletExport,
    &wallet::WalletImport,
    &wallet_seal::WalletSeal,
    &wallet_seal::WalletUnseal,
    &config::ConfigShow,
    &config::ConfigCheck,
    &config::ConfigSet,
    &node_run::NodeRun,
    &node_info::NodeInfo,
    &node_balance::NodeBalance,
    &node_channels::NodeChannels,
    &node_payments::NodePayments,
    &node_invoice::NodeInvoice,
    &node_pay::NodePay,
    &node_decode::NodeDecode,
    &node_address::NodeAddress,
    &node_open_channel::NodeOpenChannel,
    &node_close_channel::NodeCloseChannel,
    &node_withdraw::NodeWithdraw,
    &node_backup::NodeBackup,
    &node_restore::NodeRestore,
    &node_doctor::NodeDoctor,
    &node_setup::NodeSetup,
    &nwc_add::NwcAdd,
    &nwc_list::NwcList,
    &nwc_revoke::NwcRevoke,
    &token_inspect::TokenInspect,
    &token_attenuate::TokenAttenuate,
    &invoice_decode::InvoiceDecode,
    &admin_bake::AdminBake,
    &admin_narrow::AdminNarrow,
    &admin_services::AdminServices,
    &admin_service::AdminService,
    &admin_tokens::AdminTokens,
    &admin_revoke::AdminRevoke,
    &admin_challenges::AdminChallenges,
    &admin_payments::AdminPayments,
    &admin_totals::AdminTotals,
    &admin_health::AdminHealth,
    &admin_config::AdminConfig,
    &admin_reload::AdminReload,
];

/// The first word of commands that have two.
pub(crate) struct Group {
    /// The word.
    pub(crate) name: &'static str,
    /// What its commands have in common.
    pub(crate) about: &'static str,
}

/// Every group.
pub(crate) static GROUPS: &[Group] = &[
    Group { name: "node", about: "Run a Lightning node, or look at one and use it" },
    Group { name: "nwc", about: "Let applications use the node by Nostr Wallet Connect" },
    Group { name: "tokens", about: "What was bought, and what is sent" },
    Group { name: "receipts", about: "What was paid" },
    Group { name: "budget", about: "How much may be spent over some time" },
    Group { name: "wallet", about: "Take what was bought elsewhere, bring it in, or seal it" },
    Group { name: "config", about: "Your settings" },
    Group { name: "token", about: "Look into a token, or narrow it" },
    Group { name: "invoice", about: "Look into an invoice" },
    Group { name: "admin", about: "Look after a gateway that runs: services, tokens, payments" },
];

/// The arguments of a command, read into its own type. Clap has checked them already.
fn read<T: clap::FromArgMatches>(args: &ArgMatches) -> T {
    T::from_arg_matches(args).expect("clap has checked these arguments against the same type")
}
