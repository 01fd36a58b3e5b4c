import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldId, identifyField } from '../../lib/wire/field-id.ts';

test('well-known fields are recognised whatever their case', () => {
  for (const [name, id] of [
    ['Host', FieldId.HOST],
    ['CONTENT-LENGTH', FieldId.CONTENT_LENGTH],
    ['x_forwarded-For', FieldId.X_FORWARDED_FOR],
    ['user-agent', FieldId.OTHER],
    ['hosts', FieldId.OTHER],
  ] as const) {
    const bytes = Buffer.from(name);
    assert.equal(identifyField(bytes, 0, bytes.length), id, name);
  }
});
