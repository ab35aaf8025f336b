/** The forms a value takes on the wire; pure, so that the cores may know them. The coding itself is in value.ts. */
export const valueKind = { undefined: 0, msgpack: 1, arrow: 2, bytes: 3 } as const;
export type ValueKind = (typeof valueKind)[keyof typeof valueKind];
export const valueKinds = 4;

export interface EncodedValue {
  readonly kind: ValueKind;
  readonly data: Uint8Array;
}
