/**
 * Turns runs of byte tokens (<0xE2><0x9C><0x93>) into text as Hugging Face's tokenizers does: bytes that are UTF-8 as
 * they are, U+FEFF included; a run that is not UTF-8 becomes one U+FFFD a byte. @huggingface/tokenizers 0.2.0 drops
 * U+FEFF and writes one U+FFFD a run.
 */
interface Decoder {
  readonly config: { readonly type: string };
  readonly decoders?: Decoder[];
  decode_chain(tokens: string[]): string[];
}

const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Puts the mended step in place of the library's, wherever it stands in a decoder. */
export function mendByteFallback(decoder: unknown): void {
  if (decoder === null || decoder === undefined) return;
  const part = decoder as Decoder;
  part.decoders?.forEach(mendByteFallback);
  if (part.config.type === "ByteFallback") part.decode_chain = decodeBytes;
}

function decodeBytes(tokens: string[]): string[] {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) texts.push(textOf(Uint8Array.from(bytes)));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = BYTE.exec(token);
    if (byte !== null) bytes.push(parseInt(byte[1]!, 16));
    else {
      flush();
      texts.push(token);
    }
  }
  flush();
  return texts;
}

function textOf(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    return "\uFFFD".repeat(bytes.length);
  }
}
