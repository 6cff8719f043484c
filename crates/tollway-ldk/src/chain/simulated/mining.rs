//! How a block is made: coinbase, commitments, proof of work. Which transactions go in is decided
//! by the ledger.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{
    Amount, Block, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness,
    transaction,
};

use super::blocks::Known;

/// Blocks between two halvings of the subsidy on a regtest chain.
const HALVING: u32 = 150;
/// What comes before the commitment to the witnesses in the coinbase (BIP 141).
const WITNESS_COMMITMENT_HEAD: [u8; 4] = [0xaa, 0x21, 0xa9, 0xed];
const WITNESS_RESERVED: [u8; 32] = [0; 32];

/// What is to become a block.
#[derive(Debug)]
pub(super) struct Template<'a> {
    pub(super) parent: &'a Known,
    /// Unix seconds.
    pub(super) time: u32,
    /// Makes the coinbase, and so the block, different from every other at this height.
    pub(super) extra_nonce: u64,
    /// Who gets subsidy and fees.
    pub(super) pay_to: &'a ScriptBuf,
    /// Parents before children.
    pub(super) transactions: Vec<Transaction>,
    /// What those pay.
    pub(super) fees: Amount,
}

/// Makes the block, with its proof of work: two tries on average at a regtest chain's difficulty.
pub(super) fn mine(template: Template<'_>) -> Block {
    let parent = &template.parent.block;
    let mut block = Block {
        header: Header {
            version: Version::from_consensus(0x2000_0000),
            prev_blockhash: parent.block_hash(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: template.time,
            bits: parent.header.bits,
            nonce: 0,
        },
        txdata: vec![coinbase(&template)],
    };
    block.txdata.extend(template.transactions);
    commit_to_witnesses(&mut block);
    block.header.merkle_root = block.compute_merkle_root().expect("there is a coinbase");
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    block
}

fn coinbase(template: &Template<'_>) -> Transaction {
    let height = template.parent.height + 1;
    let subsidy = Amount::ONE_BTC.to_sat() * 50;
    let subsidy = Amount::from_sat(subsidy.checked_shr(height / HALVING).unwrap_or(0));
    let script_sig = Builder::new()
        .push_int(i64::from(height))
        .push_slice(template.extra_nonce.to_le_bytes())
        .into_script();
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[WITNESS_RESERVED]),
        }],
        output: vec![TxOut {
            value: subsidy + template.fees,
            script_pubkey: template.pay_to.clone(),
        }],
    }
}

fn commit_to_witnesses(block: &mut Block) {
    let root = block.witness_root().expect("there is a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &WITNESS_RESERVED);
    let mut data = PushBytesBuf::from(WITNESS_COMMITMENT_HEAD);
    data.extend_from_slice(commitment.as_byte_array()).expect("36 bytes can be pushed");
    let out = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(data) };
    block.txdata[0].output.push(out);
}
