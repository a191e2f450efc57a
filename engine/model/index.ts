/**
 * Model folders: config, card, checkpoint, quantisation and tokenizer, as data. Knows no backend; `loadModel` of the
 * port's room puts a folder and a backend together.
 */
export { defaultCard, EFFORTS, parseCard, type CardJson, type Effort, type MeasuredExit, type ModelCard } from "./card.ts";
export { readCheckpoint, weightSpecs, type MatrixLayout, type WeightSink, type WeightSpec } from "./checkpoint.ts";
export { parseConfig, type BlockLayout, type ModelConfig } from "./config.ts";
export { convertingSink, planConversion, TARGET_FORMATS, type ConversionPlan, type TargetFormat } from "./convert.ts";
export { readConfig, readWeights, type ModelFolder } from "./folder.ts";
export { dequantise, quantisedBytes, type QuantFormat, type QuantLayout } from "./quantised.ts";
export { readSafetensors, readSafetensorsHeader, type ByteSource, type SafetensorsHeader, type TensorInfo } from "./safetensors.ts";
export { readTokenizer, type ChatMessage, type TextCodec } from "./tokenizer.ts";
