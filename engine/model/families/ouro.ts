/**
 * Ouro (arXiv 2510.25741): the whole stack of layers goes round, with the last norm after every loop, whose output begins
 * the next loop and is what the head and the learned exit gate read. No prelude, coda, adapter or random state.
 */
import type { Family } from "./family.ts";

export const OURO: Family = {
  name: "ouro",
  block: { norms: ["input", "output"], qkNorm: false, rotary: "half-split" },
  recurrence: { injection: "none", start: "embedded", skipsAdapter: false, finalNorm: ["iteration"], exitGate: true },
  tensors: {
    embedding: "model.embed_tokens.weight",
    finalNorm: "model.norm.weight",
    head: "lm_head.weight",
    gateWeight: "model.early_exit_gate.weight",
    gateBias: "model.early_exit_gate.bias",
    blocks: { core: "model.layers" },
    norms: ["input_layernorm.weight", "input_layernorm_2.weight", "post_attention_layernorm.weight", "post_attention_layernorm_2.weight"],
    qkv: {
      joined: "self_attn.qkv_proj.weight",
      parts: ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
    },
    attentionOut: "self_attn.o_proj.weight",
    fc: { joined: "mlp.gate_up_proj.weight", parts: ["mlp.gate_proj.weight", "mlp.up_proj.weight"] },
    mlpOut: "mlp.down_proj.weight",
  },
  starts: ["embed-init"],
  layers: { core: "num_hidden_layers" },
  iterations: ["total_ut_steps", 4],
  foreign: [
    "n_layers_in_prelude",
    "n_layers_in_recurrent_block",
    "n_layers_in_coda",
    "mean_recurrence",
    "init_values.embed_scale",
    "initial_state_mode",
  ],
  endTexts: ["<|im_end|>", "<|endoftext|>"],
};
