// One line says what happened: every event, its fields, and the letters of each ending.
import assert from 'node:assert/strict'
import { readFileSync, renameSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, frame, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, simple, until } from './lib/turnout.mjs'

let echo, t
before(async () => { echo = await Echo.start('e'); t = await Turnout.start(simple(echo)) })
after(async () => { await t.stop(); await echo.stop() })

const has = (line, ...names) => names.forEach(name => assert.ok(name in line, `${name} is missing in ${JSON.stringify(line)}`))

test('open and close tell one tunnel\'s story under one number', async () => {
  const wire = await tunnel(t.port)
  wire.send(frame('hello'))
  await wire.length(7)
  const opened = await t.event(e => e.event === 'open')
  has(opened, 'time', 'connection', 'client', 'listener', 'route', 'pool', 'server', 'tier', 'status', 'handshake_usec', 'request_id')
  assert.match(opened.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  wire.end()
  const closed = await t.event(e => e.event === 'close')
  has(closed, 'time', 'connection', 'client', 'route', 'pool', 'server', 'tier', 'reason', 'letters', 'handshake_usec', 'lifetime_usec', 'to_server_bytes',
    'to_client_bytes', 'client_silent_usec', 'server_silent_usec', 'request_id')
  assert.equal(closed.connection, opened.connection)
  assert.equal(closed.request_id, opened.request_id)
  assert.deepEqual([closed.to_server_bytes, closed.to_client_bytes, closed.server, closed.reason, closed.letters], [11, 7, `main/${echo.address}`, 'DONE', '--'])
})
test('refused says what, where and why', async () => {
  const wire = await Wire.connect(t.port)
  wire.send(request('/x', { withKey: false }))
  await wire.head()
  const line = await t.event(e => e.event === 'refused' && e.reason === 'KEY_MISSING')
  has(line, 'time', 'connection', 'client', 'host', 'method', 'path', 'words', 'request_id')
  assert.deepEqual([line.status, line.letters], [400, 'PR'])
  wire.close()
})
test('a refusal by the server is a refused handshake with its status', async () => {
  const wire = await Wire.connect(t.port)
  wire.send(request('/refuse/403'))
  assert.equal((await wire.head()).status, 403)
  const line = await t.event(e => e.event === 'refused' && e.status === 403)
  assert.deepEqual([line.reason, line.letters], ['UPGRADE_REFUSED', '--'])
  wire.close()
})
test('an answered request that ends its connection is one line', async () => {
  const wire = await Wire.connect(t.port)
  wire.send(plain('/once', 'Connection: close\r\n'))
  await wire.closed()
  wire.close()
  const line = await t.event(e => e.event === 'request' && e.path === '/once')
  await until(() => t.counters().connections === 0)
  assert.deepEqual(t.events.filter(e => e.connection === line.connection).map(e => e.event), ['request'])
})
test('what peers send cannot break a line', async () => {
  const wire = await Wire.connect(t.port)
  wire.send(Buffer.concat([Buffer.from(`GET /${'"\\'.replace(/./g, '"')}x HTTP/1.1\r\nHost: x\r\n\r\n`)]))
  await wire.head()
  assert.equal(t.errors, '')
  wire.close()
})
test('text format, a file, and SIGUSR1 after it was moved away', async () => {
  const u = await Turnout.start(t => simple(echo)(t))
  const file = `${u.dir}/turnout.log`
  u.write(t => simple(echo)(t) + `log: { file: ${file}, format: text }\n`)
  assert.equal(u.command('reload').code, 0)
  ;(await tunnel(u.port)).close()
  await until(() => / close .*reason=/.test(readFileSync(file, 'utf8')))
  renameSync(file, file + '.1')
  u.child.kill('SIGUSR1')
  await until(async () => { (await tunnel(u.port)).close(); try { return / open /.test(readFileSync(file, 'utf8')) } catch { return false } })
  await u.stop()
})
