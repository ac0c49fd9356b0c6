// The admin listener against clients that leave, lie or send too much, over TCP with raw sockets; and `follow`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { Wire, frame, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, binary, freePort, simple, until } from './lib/turnout.mjs'

let echo, turnout, port
before(async () => {
  echo = await Echo.start('e')
  port = await freePort()
  turnout = await Turnout.start(t => { t.admin = `127.0.0.1:${port}`; return simple(echo)(t) })
})
after(async () => { await turnout.stop(); await echo.stop() })

const ask = (path, { method = 'GET', host = 'localhost', extra = '', body = '' } = {}) => `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${extra}\r\n${body}`
// One request on a connection of its own.
async function get (path, options = {}) {
  const wire = await Wire.connect(port)
  wire.send(ask(path, { ...options, extra: (options.extra ?? '') + 'Connection: close\r\n' }))
  await wire.closed()
  const { status, fields } = await wire.head()
  return { status, fields, text: wire.text, json: /json/.test(fields['content-type']) ? JSON.parse(wire.text) : null }
}

test('a follower that leaves by FIN leaves its place to others', async () => {
  for (let i = 0; i < 130; i++) {
    const wire = await Wire.connect(port)
    wire.send(ask('/api/v1/events?connection=1'))
    assert.equal((await wire.head()).status, 200, `follower ${i}`)
    wire.close()
  }
  assert.equal((await get('/healthz')).status, 200)
})
test('garbage behind a good request is answered once, and the connection ends', async () => {
  const wire = await Wire.connect(port)
  wire.send(ask('/healthz') + 'garbage here\r\n\r\n')
  assert.equal((await wire.head()).status, 200)
  assert.equal(await wire.closed(), 'FIN')
  assert.equal(wire.text.split('HTTP/1.1 400').length, 2)
})
test('only an address, localhost or no Host at all is answered', async () => {
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, '[::1]', 'LOCALHOST']) assert.equal((await get('/healthz', { host })).status, 200, host)
  for (const host of ['evil.example', 'evil1', '127.0.0.1.evil.example', '1.2.3.4.5']) assert.equal((await get('/api/v1/status', { host })).status, 403, host)
  const wire = await Wire.connect(port)
  wire.send('GET /healthz HTTP/1.0\r\n\r\n')
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('no page of another origin changes anything', async () => {
  const post = origin => get('/api/v1/reload', { method: 'POST', host: `127.0.0.1:${port}`, extra: `Origin: ${origin}\r\n` })
  for (const origin of ['null', 'http://evil.example', `http://127.0.0.1:${port + 1}`]) assert.equal((await post(origin)).status, 403, origin)
  assert.equal((await post(`http://127.0.0.1:${port}`)).status, 200)
})
test('a body is passed over up to 64 KiB, and refused above', async () => {
  const wire = await Wire.connect(port)
  for (const [extra, body] of [['Content-Length: 65536\r\n', 'x'.repeat(65536)], ['Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n']]) {
    wire.send(ask('/api/v1/reload', { method: 'POST', extra, body }))
    const { status, fields } = await wire.head()
    assert.equal(status, 200)
    await wire.take(Number(fields['content-length']))
  }
  wire.send(ask('/healthz'))
  assert.equal((await wire.head()).status, 200)
  wire.close()
  assert.equal((await get('/api/v1/reload', { method: 'POST', extra: 'Content-Length: 65537\r\n' })).status, 413)
})
const patch = body => ask('/api/v1/pools/main/servers?address=' + echo.address, { method: 'PATCH', extra: `Content-Length: ${Buffer.byteLength(body)}\r\n`, body })
const chunked = (pieces, end = '0\r\n\r\n') => ask('/api/v1/pools/main/servers?address=' + echo.address, { method: 'PATCH', extra: 'Transfer-Encoding: chunked\r\n', body: pieces.map(p => `${Buffer.byteLength(p).toString(16)}\r\n${p}\r\n`).join('') + end })
async function answered (wire) {
  const { status, fields } = await wire.head()
  return { status, json: JSON.parse(await wire.take(Number(fields['content-length']))) }
}
test('a body is read whole, however it comes, before its door opens', async () => {
  const wire = await Wire.connect(port)
  for (const byte of patch('{ "weight": 3 }')) wire.send(byte)
  assert.equal((await answered(wire)).json.weight, 3)
  wire.send(chunked([...'{"weight":4}']))
  assert.equal((await answered(wire)).json.weight, 4)
  wire.send(patch('{"weight":5}') + patch('{"weight":0}') + chunked(['{"wei', 'ght":6}']) + ask('/healthz')) // behind each other in one piece
  assert.equal((await answered(wire)).json.weight, 5)
  assert.deepEqual((await answered(wire)).json.field, 'weight')
  assert.equal((await answered(wire)).json.weight, 6)
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('a body that cannot be read, or is too large, ends the connection, with words', async () => {
  for (const [sent, status, error] of [
    [chunked(['x'.repeat(40000), 'y'.repeat(30000)]), 413, /so large a body/],
    [chunked(['{"weight":9}'], 'zz\r\n'), 400, /chunks cannot be read/],
    [ask('/api/v1/pools/main/servers', { method: 'POST', extra: 'Content-Length: 65537\r\n' }), 413, /so large a body/],
    [ask('/api/v1/nothing', { method: 'POST', extra: 'Content-Length: 4\r\n', body: 'GET ' }), 404, /nothing here/]
  ]) {
    const wire = await Wire.connect(port)
    wire.send(sent)
    const got = await answered(wire)
    assert.equal(got.status, status)
    assert.match(got.json.error, error)
    assert.equal(await wire.closed(), 'FIN')
  }
  assert.notEqual((await get('/api/v1/servers')).json.servers[0].weight, 9)
})
test('clients that leave in a body, or before their answer, leave nothing behind', async () => {
  for (let i = 0; i < 300; i++) {
    const wire = await Wire.connect(port)
    const whole = patch('{"weight":2}')
    wire.send(i % 2 ? whole : whole.slice(0, whole.length - 1 - i % 7))
    if (i % 3) wire.reset()
    else wire.close()
  }
  assert.equal((await get('/healthz')).status, 200)
  const left = await get('/api/v1/pools/main/servers', { method: 'PATCH', extra: 'Origin: http://evil.example\r\n' })
  assert.equal(left.status, 403)
})
test('a wrong method is told the right one', async () => {
  for (const [method, path, allowed] of [['POST', '/api/v1/status', 'GET'], ['DELETE', '/api/v1/connections/1', 'GET'], ['GET', '/api/v1/reload', 'POST']]) {
    const { status, fields } = await get(path, { method })
    assert.equal(status, 405, path)
    assert.equal(fields.allow, allowed)
  }
})
test('pages of one worker lead to the last; filters select; a misspelt one is refused', async () => {
  const admin = await freePort()
  const one = await Turnout.start(self => { self.admin = `127.0.0.1:${admin}`; return 'workers: 1\n' + simple(echo)(self) })
  const list = async query => {
    const wire = await Wire.connect(admin)
    wire.send(ask('/api/v1/connections' + query, { extra: 'Connection: close\r\n' }))
    await wire.closed()
    const { status } = await wire.head()
    return { status, ...JSON.parse(wire.text) }
  }
  const wires = []
  for (let i = 0; i < 5; i++) wires.push(await tunnel(one.port))
  const seen = new Set()
  let page = { next: 0 }
  for (let pages = 0; page.next !== null; pages++) {
    assert.ok(pages < 3)
    page = await list(`?limit=2&after=${page.next}`)
    assert.deepEqual(page.late, [])
    for (const c of page.connections) seen.add(c.connection)
  }
  assert.equal(seen.size, 5)
  assert.equal((await list('?state=relay')).connections.length, 5)
  assert.equal((await list('?state=dial')).connections.length, 0)
  assert.equal((await list('?client=127.0.0.1')).connections.length, 5)
  assert.equal((await list('?idle_usec=3600000000')).connections.length, 0)
  assert.equal((await list('?pol=main')).status, 400)
  assert.equal((await list('?limit=1001')).status, 400)
  assert.equal(one.json('connections').connections.length, 5)
  for (const wire of wires) wire.close()
  await one.stop()
})
test('status says since when, and why the last reload was refused', async () => {
  const before = turnout.status()
  assert.ok(before.uptime_usec > 0 && before.log_lines_lost === 0)
  assert.equal(turnout.command('reload').code, 0)
  const good = turnout.status()
  assert.ok(good.configuration_since > before.configuration_since && good.started === before.started)
  const text = turnout.write(simple(echo)(turnout) + 'nonsense: 1\n')
  assert.match(text, /nonsense/)
  assert.equal(turnout.command('reload').code, 1)
  const bad = turnout.status()
  assert.equal(bad.configuration_since, good.configuration_since)
  assert.equal(bad.last_reload.result, 'refused')
  assert.match(bad.last_reload.errors[0].words, /nonsense/)
  assert.match(turnout.command('status').out, /was refused:\n.*:\d+:1: error: unknown key "nonsense"/)
  turnout.write(simple(echo)(turnout))
  assert.equal(turnout.command('reload').code, 0)
})
function follow (t, ...words) {
  const child = spawn(binary, ['follow', ...words, '--admin', t.admin], { stdio: ['ignore', 'pipe', 'pipe'] })
  const f = { child, out: '', err: '', exit: new Promise(resolve => child.on('close', resolve)) }
  child.stdout.on('data', data => { f.out += data })
  child.stderr.on('data', data => { f.err += data })
  return f
}
test('follow N tells the story so far, goes on, and ends with the connection', async () => {
  const wire = await tunnel(turnout.port)
  wire.send(frame('x'))
  await wire.length(3)
  const { connection } = turnout.json('connections').connections.find(c => c.client.endsWith(`:${wire.localPort}`))
  const f = follow(turnout, String(connection))
  await until(() => f.out.includes('why this server'), 'the story')
  wire.close()
  assert.equal(await f.exit, 0)
  assert.match(f.out, /^#\d+ 127\.0\.0\.1:\d+ → main\//)
  assert.match(f.out, new RegExp(`\\d\\d:\\d\\d:\\d\\d\\.\\d{3} #${connection} tunnel relay → \\w+ \\d+\\.\\d ms\n`))
  assert.match(f.out, /→ ends: [A-Z_]+ /)
  assert.equal(await follow(turnout, String(connection)).exit, 1)
})
test('follow says so when turnout stops', async () => {
  const t = await Turnout.start(simple(echo))
  const f = follow(t)
  await until(async () => { (await tunnel(t.port)).close(); return f.out.includes('→ dial') }, 'a transition')
  await t.stop()
  assert.equal(await f.exit, 1)
  assert.match(f.err, /has turnout stopped/)
})
