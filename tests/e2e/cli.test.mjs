// The program as a person meets it: commands, errors, and the admin API behind them.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Wire, frame, plain, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, binary, freePort, simple, until } from './lib/turnout.mjs'

let echo, turnout, dir
const run = (...words) => { const d = spawnSync(binary, words, { encoding: 'utf8' }); return { code: d.status, out: d.stdout, err: d.stderr } }
const file = (name, text) => { const p = path.join(dir, name); writeFileSync(p, text); return p }

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-cli-'))
  echo = await Echo.start('e')
  turnout = await Turnout.start(simple(echo))
})
after(async () => { await turnout.stop(); await echo.stop(); rmSync(dir, { recursive: true }) })

test('--version says the kernel features; --help the commands; nonsense is 2', () => {
  assert.match(run('--version').out, /^turnout \d+\.\d+\.\d+\n.*kernel .*SO_REUSEPORT/s)
  assert.match(run('--help').out, /turnout check FILE/)
  assert.equal(run('nonsense').code, 2)
  assert.equal(run('check').code, 2)
  assert.equal(run('run').code, 2)
})
test('check says all errors at once: file:line:column, the line, a caret, advice', () => {
  const bad = file('bad.yaml', `worker: 2
listeners: [ { listen: 127.0.0.1:99999 } ]
timeouts: { connect: 3, tunel_idle: 1h }
pools: { chat: { balance: magic, servers: [ 127.0.0.1 ] } }
routes:
  - { match: { host: "chat.example.com:80" }, pool: chatt }
`)
  const { code, err } = run('check', bad)
  assert.equal(code, 1)
  for (const wanted of [/:1:1: error: unknown key "worker"\n {4}worker: 2\n {4}\^\n {2}did you mean "workers"\?/, /:2:24: .*99999/, /:3:22: .*"3"/,
    /tunnel_idle/, /magic/, /:4:45: .*no server address/, /:6:22: .*leave the port out/, /did you mean "chat"\?/, /8 errors/]) assert.match(err, wanted)
})
test('what YAML refuses is told to be quoted', () => {
  const pools = 'pools: { a: { servers: [ 127.0.0.1:1 ] } }\n'
  for (const [text, quoted] of [
    [`listeners: [ { listen: [::1]:80 } ]\n${pools}`, '"[::1]:80"'],
    [`listeners: [ { listen: 127.0.0.1:80 } ]\n${pools}routes: [ { match: { path: /rooms/{room} }, pool: a } ]\n`, '"/rooms/{room}"'],
    [`listeners: [ { listen: 127.0.0.1:80 } ]\n${pools}routes: [ { match: { host: *.example.com }, pool: a } ]\n`, '"*.example.com"']
  ]) assert.ok(run('check', file('quote.yaml', text)).err.includes(`put it in quotes: ${quoted}`), text)
})
test('check --show is a configuration again, and hides what came from a file', () => {
  file('name.txt', 'secret.example.com\n')
  const ok = file('ok.yaml', `listeners: [ { listen: 127.0.0.1:80 } ]
pools: { a: { servers: [ 127.0.0.1:1 ] } }
routes: [ { match: { host: { file: name.txt } }, pool: a } ]
`)
  const shown = run('check', '--show', ok)
  assert.equal(shown.code, 0)
  assert.ok(!shown.out.includes('secret') && shown.out.includes('host: "***"'))
  assert.match(run('check', ok).out, /ok: 1 listener, 1 pool, 1 route, 1 server/)
})
test('explain says listener, route, pool, server and why', () => {
  const config = file('explain.yaml', `listeners: [ { listen: 127.0.0.1:8080 } ]
pools: { chat: { servers: [ 127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 2 } ] }, web: { servers: [ 127.0.0.1:9003 ] } }
routes:
  - { name: rooms, match: { host: chat.example.com, path: "/rooms/{room}" }, pool: chat }
  - { pool: web }
`)
  const rooms = run('explain', config, 'ws://chat.example.com:8080/rooms/7')
  assert.equal(rooms.code, 0)
  for (const wanted of [/listener +127\.0\.0\.1:8080/, /rooms .*first that matches/, /room = 7/, /pool +chat/, /chat\/127\.0\.0\.1:900\d.*chosen/, /fewest connections/]) assert.match(rooms.out, wanted)
  assert.match(run('explain', config, 'http://other.example.com:8080/x', '--header', 'X-A: b').out, /pool +web/)
  assert.match(run('explain', config, 'http://chat.example.com:8080/a/../..').out, /400/)
})
test('a port that is taken, by whomever, is an error', () => {
  const second = run('run', '-c', file('taken.yaml', `admin: no\nlisteners: [ { listen: 127.0.0.1:${turnout.port} } ]\npools: { a: { servers: [ 127.0.0.1:1 ] } }\n`))
  assert.equal(second.code, 1)
  assert.match(second.err, /taken\.yaml:2:\d+: error: cannot listen on .*in use/)
})
test('no one behind --admin is 3, with words', () => {
  const { code, err } = run('status', '--admin', 'unix:/nonexistent.sock')
  assert.equal(code, 3)
  assert.match(err, /nothing answers on .*is turnout running/)
})
test('proxy serves without a file; an unknown key never starts', async () => {
  const t = await Turnout.start('unused: yes\n').catch(() => null)
  assert.equal(t, null)
  const port = await freePort()
  const child = spawn(binary, ['proxy', '--listen', `127.0.0.1:${port}`, '--to', echo.address, '--admin', `unix:${dir}/p.sock`], { stdio: 'ignore' })
  const wire = await until(async () => tunnel(port).catch(() => null), 'the proxy serves')
  wire.send(frame('x'))
  await wire.length(3)
  wire.close()
  child.kill('SIGTERM')
  assert.equal(await new Promise(resolve => child.on('close', resolve)), 0)
})
test('connections/N tells the whole story, with candidates and both sides', async () => {
  const wire = await tunnel(turnout.port)
  wire.send(frame('hello'))
  await wire.length(7)
  const listed = turnout.json('connections').connections.find(c => c.client.endsWith(`:${wire.socket.localPort}`))
  const c = JSON.parse(await get(`/api/v1/connections/${listed.connection}`))
  assert.deepEqual(c.steps.map(s => s.step), ['read_head', 'choose_route', 'authorize', 'act', 'pick_server', 'dial', 'ask', 'answer', 'hand_over', 'relay'])
  assert.equal(c.choice.because, 'fewest connections for its weight')
  assert.ok(c.choice.candidates.some(one => one.chosen && one.server === `main/${echo.address}`))
  assert.equal(c.client_side.local, `127.0.0.1:${turnout.port}`)
  assert.equal(c.server_side.peer, echo.address)
  assert.equal(c.tier, 'copy')
  assert.equal(c.to_server_bytes, 11)
  assert.equal(c.to_client_bytes, 7)
  wire.close()
})
function get (target, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    http.request({ socketPath: turnout.admin.slice(5), path: target, method, headers }, res => {
      let body = ''
      res.on('data', data => { body += data }).on('end', () => resolve(method === 'GET' && !headers.full ? body : { status: res.statusCode, body }))
    }).on('error', reject).end()
  })
}
test('the API: pages, filters, 404, 405, health, and no page of another origin', async () => {
  const wires = []
  for (let i = 0; i < 5; i++) wires.push(await tunnel(turnout.port))
  const first = JSON.parse(await get('/api/v1/connections?limit=2&pool=main'))
  assert.equal(first.connections.length, 2)
  const second = JSON.parse(await get(`/api/v1/connections?limit=10&after=${first.next}`))
  assert.ok(second.connections.length >= 3 && second.connections[0].connection > first.next)
  assert.equal(JSON.parse(await get('/api/v1/connections?pool=none')).connections.length, 0)
  const full = { headers: { full: '1' } }
  assert.equal((await get('/api/v1/nothing', full)).status, 404)
  assert.equal((await get('/api/v1/connections?limit=x', full)).status, 400)
  assert.equal((await get('/api/v1/connections/0', full)).status, 404)
  assert.equal((await get('/api/v1/status', { method: 'DELETE' })).status, 405)
  assert.equal((await get('/api/v1/reload', { method: 'POST', headers: { Origin: 'http://evil.example' } })).status, 403)
  assert.equal((await get('/healthz', full)).status, 200)
  assert.equal((await get('/ready', full)).status, 200)
  for (const wire of wires) wire.close()
  await until(() => turnout.counters().tunnels === 0)
})
test('follow shows transitions live', async () => {
  const child = spawn(binary, ['follow', '--admin', turnout.admin, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', data => { out += data })
  await until(async () => { (await tunnel(turnout.port)).close(); return out.includes('"to":"relay"') }, 'a transition to relay')
  child.kill()
  const event = JSON.parse(out.split('\n').find(line => line.includes('"to":"relay"')))
  assert.equal(event.flow, 'tunnel')
  assert.equal(event.from, 'hand_over')
})
test('a Unix listener serves in all workers', async () => {
  const socket = `${dir}/front.sock`
  const t = await Turnout.start(`listeners: [ { listen: "unix:${socket}" } ]\npools: { main: { servers: [ ${echo.address} ] } }\n`)
  for (let i = 0; i < 10; i++) {
    const body = await new Promise((resolve, reject) => http.get({ socketPath: socket, path: '/healthz' }, res => res.on('data', d => resolve(d.toString()))).on('error', reject))
    assert.equal(body, 'ok\n')
  }
  await t.stop()
})
test('an IPv6 listener', async () => {
  const port = await freePort()
  const t = await Turnout.start(`listeners: [ { listen: "[::1]:${port}" } ]\npools: { main: { servers: [ ${echo.address} ] } }\n`)
  const wire = await Wire.connect(port, { host: '::1' })
  wire.send(plain('/healthz'))
  assert.equal((await wire.head()).status, 200)
  wire.close()
  await t.stop()
})
