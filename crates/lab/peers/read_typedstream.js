// Reads typedstreams, one a line as hex, and writes of each a line of JSON: its text, null where there is none.
const { Unarchiver } = require('node-typedstream');
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);

function text(value) {
  if (typeof value === 'string') return value;
  if (value && typeof value.string === 'string') return value.string;
  if (value && Array.isArray(value.values)) return first(value.values);
  if (value && Array.isArray(value.contents)) return first(value.contents);
  return Array.isArray(value) ? first(value) : null;
}

function first(values) {
  for (const value of values) {
    const found = text(value);
    if (found !== null) return found;
  }
  return null;
}

for (const line of lines) {
  let answer;
  try {
    answer = { text: text(Unarchiver.open(Buffer.from(line, 'hex')).decodeAll()) };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
