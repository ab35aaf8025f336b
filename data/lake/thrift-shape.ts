/**
 * The shape of a Thrift struct (compact protocol), gone through before hyparquet builds it. A list says how long it is
 * before its entries, and a struct may have any field: believed, a few bytes make an array or an object so large that
 * V8 ends the whole process and not only the thread (allocations far above what is left of the heap are fatal). Behind
 * this walk every list has as many entries as bytes, and none is too long.
 */
const listMax = 1_048_576;
const fieldsMax = 1_024;
const depthMax = 32;

const [stop, yes, no, byte, i16, i32, i64, double, binary, list, struct] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12];

/** Throws an Error that says what is wrong with the struct that begins at `from`. */
export function checkThriftShape(view: DataView, from: number): void {
  let at = from;

  const skip = (bytes: number): void => {
    if (bytes > view.byteLength - at)
      throw new Error(`a value of ${bytes} bytes where ${view.byteLength - at} are left`);
    at += bytes;
  };
  const varint = (): number => {
    let result = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= view.byteLength) throw new Error("a number without an end");
      const part = view.getUint8(at++);
      result += (part & 0x7f) * scale;
      if (part < 128) return result;
      if (scale > 2 ** 63) throw new Error("a number of more than 70 bits");
    }
  };
  const walkList = (depth: number): void => {
    checkDepth(depth);
    if (at >= view.byteLength) throw new Error("a list without an end");
    const head = view.getUint8(at++);
    const type = head & 15;
    const length = head >> 4 === 15 ? varint() : head >> 4;
    if (length > listMax || length > view.byteLength - at)
      throw new Error(`a list of ${length} entries where ${view.byteLength - at} bytes are left`);
    for (let i = 0; i < length; i++) walk(type === yes || type === no ? byte : type, depth);
  };
  const walkStruct = (depth: number): void => {
    checkDepth(depth);
    for (let fields = 0; ; fields++) {
      if (at >= view.byteLength) throw new Error("a struct without an end");
      if (fields > fieldsMax) throw new Error(`a struct of more than ${fieldsMax} fields`);
      const head = view.getUint8(at++);
      const type = head & 15;
      if (type === stop) return;
      if (head >> 4 === 0) varint();
      walk(type, depth);
    }
  };
  const walk = (type: number, depth: number): void => {
    switch (type) {
      case yes:
      case no:
        break;
      case byte:
        skip(1);
        break;
      case i16:
      case i32:
      case i64:
        varint();
        break;
      case double:
        skip(8);
        break;
      case binary:
        skip(varint());
        break;
      case list:
        walkList(depth + 1);
        break;
      case struct:
        walkStruct(depth + 1);
        break;
      default:
        throw new Error(`a value of the unknown type ${type}`);
    }
  };
  walkStruct(0);
}

function checkDepth(depth: number): void {
  if (depth > depthMax) throw new Error(`structs and lists ${depth} deep`);
}
