/** The protocol's version. Neighbours serve side by side; anything farther is refused with the reason. */
export const PROTOCOL_VERSION = 4;

export const isCompatible = (other: number): boolean => Math.abs(other - PROTOCOL_VERSION) <= 1;
