// How servers are: by checks that see the application, by what requests tell, and by their own word; and what becomes of their tunnels.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import http from 'node:http'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { App, Listener } from './lib/app.mjs'
import { Told } from './lib/proxy.mjs'
import { Wire, answer, closeFrame, frame, plain, request, tunnel } from './lib/raw.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'

const times = 'interval: 200ms, fast_interval: 50ms, rise: 2, fall: 2, timeout: 500ms'
const one = (app, pool, more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { ${pool}, servers: [ ${[app].flat().map(a => a.address ?? a).join(', ')} ] } }\n${more}`

const state = (t, server) => t.json('servers').servers.find(s => s.server === server || s.address === server)
const becomes = (t, server, wanted, within) => until(() => state(t, server).state === wanted, `${server} becomes ${wanted}`, within)
const checked = (t, server, wanted, within) => until(() => state(t, server).check === wanted, `${server} is found ${wanted}`, within)
const verdicts = t => t.events.filter(e => e.event === 'health')
function ask (t, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body ? JSON.stringify(body) : ''
    http.request({ socketPath: t.admin.slice(5), path, method, headers: { 'Content-Length': text.length } }, res => {
      let got = ''
      res.on('data', data => { got += data }).on('end', () => resolve({ status: res.statusCode, json: JSON.parse(got) }))
    }).on('error', reject).end(text)
  })
}
const patch = async (t, pool, address, body) => (await ask(t, 'PATCH', `/api/v1/pools/${pool}/servers/${address}`, body)).status
async function echoes (wire, text = 'still here') {
  const had = wire.got.length
  wire.send(frame(text))
  await wire.wait(() => wire.got.subarray(had).includes(text), 'an echo')
}
async function handshake (port, path = '/') {
  const wire = await Wire.connect(port)
  wire.send(request(path))
  const head = await wire.head()
  wire.close()
  return head.status
}

let certificate
before(() => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-health-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-keyout', `${dir}/k`, '-out', `${dir}/c`, '-subj', '/CN=own.example.com'], { stdio: 'ignore' })
  certificate = { key: readFileSync(`${dir}/k`), cert: readFileSync(`${dir}/c`) }
  rmSync(dir, { recursive: true })
})

test('Show 6: 200 to GET but 500 to the handshake: down by websocket, ejected by passive, up by tcp and http; tunnels as on_down says', async () => {
  const app = await App.start()
  const kinds = {
    keep: `health: { websocket: { path: /w, ${times} } }, on_down: keep`,
    close: `health: { websocket: { path: /w, ${times} } }, on_down: close`,
    drained: `health: { websocket: { path: /w, ${times} } }, on_down: drain, drain: { over: 1s, code: 1012 }`,
    tcp: `health: { tcp: { ${times} } }, on_down: drain`,
    http: `health: { http: { path: /h, ${times} } }, on_down: drain`,
    passive: 'health: { passive: { failures: 3, window: 10s, eject: 60s, max_ejected: 100% } }, on_down: drain'
  }
  const raw = await freePort()
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: 127.0.0.1:${raw}, tcp: drained } ]\npools:\n` +
    Object.entries(kinds).map(([name, pool]) => `  ${name}: { ${pool}, servers: [ ${app.address} ] }\n`).join('') +
    'routes:\n' + Object.keys(kinds).map(name => `  - { match: { path: /${name} }, pool: ${name} }\n`).join(''))
  for (const name of Object.keys(kinds)) if (name !== 'passive') await checked(t, `${name}/${app.address}`, 'up')
  assert.ok(app.checks.some(c => c.url === '/w' && c.headers.host === app.address))
  const wires = {}
  for (const name of Object.keys(kinds)) { wires[name] = await tunnel(t.port, `/${name}`); await echoes(wires[name]) }
  const many = []
  for (let i = 0; i < 20; i++) many.push(await tunnel(t.port, '/drained'))
  const flow = await tunnel(raw, '/over-tcp')
  await echoes(flow)

  app.handshake = 500
  for (const name of ['keep', 'close', 'drained']) await checked(t, `${name}/${app.address}`, 'down')
  const found = state(t, `drained/${app.address}`)
  assert.equal(found.state, 'down')
  assert.deepEqual([found.health[0].check, found.health[0].good, found.health[0].reason, found.health[0].status], ['websocket', false, 'UPGRADE_REFUSED', 500])
  assert.ok(found.health.length > 2 && found.health.some(o => o.good))
  const event = await t.event(e => e.event === 'health' && e.server === `drained/${app.address}` && e.to === 'down')
  assert.deepEqual([event.from, event.reason, event.status], ['up', 'UPGRADE_REFUSED', 500])

  for (const wire of [wires.close, wires.drained, ...many]) await wire.until(closeFrame(1012, false), 8000)
  await flow.closed(8000) // no WebSocket to us: it ends by FIN
  assert.equal(flow.ended, 'FIN')
  for (const name of ['keep', 'tcp', 'http', 'passive']) await echoes(wires[name])
  assert.equal((await handshake(t.port, '/drained')), 503)

  for (let i = 0; i < 3; i++) assert.equal(await handshake(t.port, '/passive'), 500)
  await becomes(t, `passive/${app.address}`, 'ejected')
  assert.equal(await handshake(t.port, '/passive'), 503)
  await echoes(wires.passive)
  for (const name of ['tcp', 'http']) {
    assert.equal(state(t, `${name}/${app.address}`).state, 'up')
    assert.equal(await handshake(t.port, `/${name}`), 500)
  }
  app.handshake = 101
  await checked(t, `drained/${app.address}`, 'up')
  for (const wire of [await tunnel(t.port, '/drained'), ...Object.values(wires)]) wire.close()
  await t.stop()
  await app.stop()
})

test('passthrough flows of a server that went down are drained, too', async () => {
  const app = await App.start({ tls: certificate })
  const pass = await freePort()
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${pass}, tls: { mode: passthrough } } ]
pools: { main: { health: { tcp: { ${times} } }, on_down: drain, drain: { over: 300ms }, servers: [ ${app.address} ] } }
routes: [ { match: { host: own.example.com }, pool: main } ]
`)
  await checked(t, app.address, 'up')
  const wires = []
  for (let i = 0; i < 5; i++) {
    const wire = await Wire.connectTls(pass, { servername: 'own.example.com' })
    wire.send(request('/', { host: 'own.example.com' }))
    assert.equal((await wire.head()).status, 101)
    await echoes(wire)
    wires.push(wire)
  }
  app.shut() // nobody new is let in; who is there stays
  await checked(t, app.address, 'down')
  for (const wire of wires) await wire.closed(8000)
  await until(() => t.counters().tunnels === 0)
  await t.stop()
  await app.stop()
})

test('a stream that is spliced ends at the boundary of a frame, by a Close frame, when its server goes down', async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, `health: { websocket: { path: /w, ${times} } }, on_down: drain, drain: { over: 200ms, code: 1012 }`))
  await checked(t, app.address, 'up')
  const wire = await tunnel(t.port)
  wire.send(frame('stream'))
  await until(async () => (await ask(t, 'GET', '/api/v1/connections')).json.connections.some(c => c.to_client_relay?.tier === 'splice'), 'it is spliced')
  app.handshake = 500
  await wire.closed(8000)
  let at = 0
  let frames = 0
  while (wire.got[at] !== 0x88) { // whole frames of the stream, one after another
    assert.equal(wire.got.readUInt16BE(at), 0x827f)
    assert.equal(wire.got.readBigUInt64BE(at + 2), 65536n)
    at += 10 + 65536
    frames++
  }
  assert.ok(frames > 0)
  assert.deepEqual([...wire.got.subarray(at)], [...closeFrame(1012, false)])
  wire.close()
  await t.stop()
  await app.stop()
})

test('ping, message, host and path: what websocket may ask for, and what it is when it is not given', async () => {
  const app = await App.start()
  app.says = { hello: 'the {world} answers' }
  const t = await Turnout.start(one(app, `health: { websocket: { path: "/rooms/health?deep=1", host: chat.example.com, ping: yes, send: hello, expect: "{world}", ${times} } }`))
  await checked(t, app.address, 'up')
  const check = app.checks[0]
  assert.deepEqual([check.url, check.headers.host, check.headers['sec-websocket-version']], ['/rooms/health?deep=1', 'chat.example.com', '13'])
  assert.equal(Buffer.from(check.headers['sec-websocket-key'], 'base64').length, 16)
  await until(() => app.checks.length > 3)
  assert.equal(new Set(app.checks.map(c => c.headers['sec-websocket-key'])).size, app.checks.length, 'each key is another')
  app.deaf = true
  await checked(t, app.address, 'down')
  assert.equal(state(t, app.address).health.find(o => !o.good).reason, 'CHECK_PONG_MISSING')
  app.deaf = false
  await checked(t, app.address, 'up')
  app.says = {}
  await checked(t, app.address, 'down')
  assert.equal(state(t, app.address).health[0].reason, 'CHECK_REPLY_MISSING')
  await t.stop()
  await app.stop()
})

test("the route's host is asked for where the check names none", async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, `health: { http: { ${times} } }`, 'routes: [ { match: { host: "*.example.com" }, pool: main }, { match: { host: rooms.example.com }, pool: main } ]\n'))
  await checked(t, app.address, 'up')
  assert.equal(app.checks[0].headers.host, 'rooms.example.com')
  await t.stop()
  await app.stop()
})

test('an endpoint that hangs behind its head is down by the timeout of the whole check', async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, `health: { http: { path: /health, ${times} } }`))
  await checked(t, app.address, 'up')
  app.hangs = true
  await checked(t, app.address, 'down')
  const outcome = state(t, app.address).health[0]
  assert.deepEqual([outcome.reason, outcome.status], ['CHECK_TOO_SLOW', 200])
  assert.ok(outcome.took_usec >= 500000 && outcome.took_usec < 900000, `${outcome.took_usec}`)
  assert.match(t.command('status').out, /^health: \d+ checks, [1-9]\d* failed/m)
  assert.match(t.command('servers').out, /down: CHECK_TOO_SLOW/)
  app.hangs = false
  await checked(t, app.address, 'up')
  await t.stop()
  await app.stop()
})

test('statuses that are wanted, and one that is not', async () => {
  const app = await App.start()
  app.get = 404
  const t = await Turnout.start(one(app, `health: { http: { path: /health, status: "200-299, 404", ${times} } }`))
  await checked(t, app.address, 'up')
  app.get = 301
  await checked(t, app.address, 'down')
  assert.equal(state(t, app.address).health[0].reason, 'CHECK_STATUS')
  await t.stop()
  await app.stop()
})

test('a server that flaps between two answers stays what it was', async () => {
  let number = 0
  const flapping = http.createServer((request, response) => { response.statusCode = number++ % 2 ? 500 : 200; response.end('x') })
  await new Promise(resolve => flapping.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${flapping.address().port}`
  const t = await Turnout.start(one(address, `health: { http: { path: /, interval: 20ms, fast_interval: 20ms, rise: 2, fall: 2, timeout: 2s } }`))
  await until(() => number > 40, 'many checks')
  assert.equal(state(t, address).check, 'up')
  assert.equal(verdicts(t).length, 1)
  await t.stop()
  await new Promise(resolve => flapping.close(resolve))
})

test('a 503 that says draining: nothing new comes, tunnels are drained, and it may come back', async () => {
  const app = await App.start()
  const other = await App.start()
  const t = await Turnout.start(one([app, other], `balance: round_robin, health: { http: { path: /health, ${times} } }, drain: { over: 500ms, code: 1001 }`))
  for (const a of [app, other]) await checked(t, a.address, 'up')
  const wires = [await tunnel(t.port), await tunnel(t.port)]
  const mine = app.clients.length
  assert.equal(mine, 1)
  Object.assign(app, { get: 503, body: '{"status": "Draining"}' })
  await checked(t, app.address, 'draining')
  await until(() => wires.some(wire => wire.got.includes(closeFrame(1001, false))), 'its tunnel is drained')
  assert.equal(wires.filter(wire => wire.got.length === 0).length, 1)
  for (let i = 0; i < 10; i++) (await tunnel(t.port)).close()
  assert.equal(app.clients.length, mine)
  Object.assign(app, { get: 200, body: 'fine' })
  await checked(t, app.address, 'up')
  await until(async () => { (await tunnel(t.port)).close(); return app.clients.length > mine }, 'it is chosen again')
  assert.deepEqual(verdicts(t).filter(e => e.server.endsWith(app.address)).map(e => e.to), ['up', 'draining', 'up'])
  for (const wire of wires) wire.close()
  await t.stop()
  await app.stop()
  await other.stop()
})

test('X-Turnout-Drain on an answer to a client: stripped, obeyed, and taken back by the next check without it', async () => {
  for (const ask of [port => handshake(port), async port => {
    const wire = await Wire.connect(port)
    wire.send(plain('/'))
    const { status, head } = await wire.head()
    assert.ok(!/turnout-drain/i.test(head), head)
    wire.close()
    return status
  }]) {
    const app = await App.start()
    const t = await Turnout.start(one(app, `health: { http: { path: /health, ${times} } }, drain: { over: 0 }`))
    await checked(t, app.address, 'up')
    const wire = await Wire.connect(t.port)
    app.fields = { 'X-Turnout-Drain': '1' }
    wire.send(request('/'))
    const { status, head } = await wire.head()
    assert.equal(status, 101)
    assert.ok(!/turnout-drain/i.test(head), head)
    await checked(t, app.address, 'draining')
    await wire.until(closeFrame(1012, false))
    assert.equal(await ask(t.port), 503)
    app.fields = {}
    await checked(t, app.address, 'up')
    assert.ok([101, 200].includes(await ask(t.port)))
    wire.close()
    await t.stop()
    await app.stop()
  }
})

test('without checks, X-Turnout-Drain alone drains', async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, 'drain: { over: 0 }'))
  app.fields = { 'X-Turnout-Drain': '1' }
  const wire = await tunnel(t.port)
  await wire.until(closeFrame(1012, false))
  assert.equal(state(t, app.address).check, 'draining')
  assert.equal(await handshake(t.port), 503)
  assert.equal((await t.event(e => e.event === 'health')).reason, 'SERVER_DRAINS')
  wire.close()
  await t.stop()
  await app.stop()
})

test('passive: what speaks of the client does not count; 5xx, slowness, resets and refusals do', async () => {
  const app = await App.start()
  const passive = 'health: { passive: { failures: 3, window: 60s, eject: 60s, max_ejected: 100%, slow: 150ms, early: 5s } }'
  const rows = [
    { name: '403', set: { handshake: 403 }, status: 403, stays: true },
    { name: '401', set: { handshake: 401 }, status: 401, stays: true },
    { name: '404', set: { handshake: 404 }, status: 404, stays: true },
    { name: '426', set: { handshake: 426 }, status: 426, stays: true },
    { name: '500', set: { handshake: 500 }, status: 500 },
    { name: 'slow', set: { waitMsec: 250 }, status: 101 },
    { name: 'resets', set: { resets: true }, status: 101, waits: true },
    { name: 'plain 500', set: { get: 500 }, plain: true, status: 500, stays: true }
  ]
  for (const row of rows) {
    Object.assign(app, { handshake: 101, waitMsec: 0, resets: false, get: 200 }, row.set)
    const t = await Turnout.start(one(app, passive))
    for (let i = 0; i < 3; i++) {
      const wire = await Wire.connect(t.port)
      wire.send(row.plain ? plain('/') : request('/'))
      assert.equal((await wire.head()).status, row.status, row.name)
      if (row.waits) await wire.closed()
      wire.close()
    }
    if (row.stays) {
      assert.equal(state(t, app.address).state, 'up', row.name)
    } else {
      await becomes(t, app.address, 'ejected')
      const event = await t.event(e => e.event === 'health')
      assert.equal(event.to, 'ejected')
      assert.equal(t.counters().ejections_ever, 1)
    }
    await t.stop()
  }
  await app.stop()
})

test('passive: a server that refuses connections is left out, so others are asked at once; never more than the share', async () => {
  const app = await App.start()
  const dead = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const t = await Turnout.start(one([...dead, app], 'balance: round_robin, health: { passive: { failures: 2, window: 60s, eject: 60s, max_ejected: 50% } }', 'retries: 3\n'))
  for (let i = 0; i < 30; i++) assert.equal(await handshake(t.port), 101)
  const states = t.json('servers').servers.map(s => s.state)
  assert.equal(states.filter(s => s === 'ejected').length, 2, `${states}`)
  assert.equal(state(t, app.address).state, 'up')
  await t.stop()
  await app.stop()
})

test('passive: an ejection ends, and the next one lasts twice as long', async () => {
  const app = await App.start()
  app.handshake = 500
  const t = await Turnout.start(one(app, 'health: { passive: { failures: 1, window: 60s, eject: 1s, eject_max: 60s, max_ejected: 100% } }'))
  const lasted = []
  for (let i = 0; i < 2; i++) {
    assert.equal(await handshake(t.port), 500)
    const began = performance.now()
    await becomes(t, app.address, 'ejected')
    await becomes(t, app.address, 'up')
    lasted.push(performance.now() - began)
  }
  assert.ok(lasted[0] > 900 && lasted[1] > 1900, `${lasted}`)
  assert.deepEqual(verdicts(t).filter(e => e.to === 'ejected').map(e => /for (.*) s/.exec(e.words)[1]), ['1.000', '2.000'])
  assert.equal((await t.event(e => e.reason === 'EJECTION_OVER')).to, 'up')
  await t.stop()
  await app.stop()
})

test('an operator who takes a server down has its tunnels treated as on_down says', async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, 'on_down: close'))
  const wire = await tunnel(t.port)
  assert.equal(await patch(t, 'main', app.address, { state: 'down' }), 200)
  await wire.until(closeFrame(1012, false))
  assert.equal((await t.event(e => e.event === 'close')).reason, 'SERVER_DOWN')
  assert.equal(await handshake(t.port), 503)
  assert.equal(await patch(t, 'main', app.address, { state: 'up' }), 200)
  assert.equal(await handshake(t.port), 101)
  wire.close()
  await t.stop()
  await app.stop()
})

test('when so few are up that health is not believed, tunnels are not driven away', async () => {
  const apps = [await App.start(), await App.start(), await App.start(), await App.start()]
  const t = await Turnout.start(one(apps, `balance: round_robin, panic: 60%, health: { websocket: { path: /w, ${times} } }, on_down: close`))
  for (const app of apps) await checked(t, app.address, 'up')
  const wires = []
  for (let i = 0; i < 4; i++) wires.push(await tunnel(t.port))
  apps[0].handshake = 500
  await wires[0].until(closeFrame(1012, false)) // three of four: believed
  apps[1].handshake = apps[2].handshake = 500
  for (const app of apps.slice(1, 3)) await checked(t, app.address, 'down')
  assert.ok((await t.event(e => e.event === 'notice')).words.includes('panic'))
  for (const wire of wires.slice(1)) await echoes(wire)
  for (const wire of wires) wire.close()
  await t.stop()
  for (const app of apps) await app.stop()
})

test('who waits for a server is served when it comes up', async () => {
  const app = await App.start()
  const full = await App.start()
  app.handshake = 500
  const t = await Turnout.start(one([`{ address: ${full.address}, max_connections: 1 }`, app], `health: { websocket: { path: /w, ${times} } }`, 'timeouts: { queue: 20s }\n'))
  await checked(t, full.address, 'up')
  await checked(t, app.address, 'down')
  const first = await tunnel(t.port)
  const waiting = tunnel(t.port)
  await until(() => state(t, full.address).waiting === 1)
  app.handshake = 101
  ;(await waiting).close()
  assert.equal(app.clients.length, 1)
  first.close()
  await t.stop()
  await app.stop()
  await full.stop()
})

test('a server that comes up again is not drained further', async () => {
  const app = await App.start()
  const t = await Turnout.start(one(app, `health: { websocket: { path: /w, ${times} } }, on_down: drain, drain: { over: 60s }`))
  await checked(t, app.address, 'up')
  const wires = []
  for (let i = 0; i < 10; i++) wires.push(await tunnel(t.port))
  app.handshake = 500
  await checked(t, app.address, 'down')
  app.handshake = 101
  await checked(t, app.address, 'up')
  await until(() => t.events.some(e => e.event === 'drain' && /und/.test(e.words)), 'the drain is undone')
  const left = wires.filter(wire => wire.got.length === 0)
  assert.ok(left.length >= 8)
  for (const wire of left) await echoes(wire)
  for (const wire of wires) wire.close()
  await t.stop()
  await app.stop()
})

test('what is known survives a reload; a server that is added is checked, one that is removed no more', async () => {
  const app = await App.start()
  const other = await App.start()
  app.get = 500
  const pool = `health: { http: { path: /health, ${times} } }`
  const t = await Turnout.start(one(app, pool))
  await checked(t, app.address, 'down')
  await t.event(e => e.event === 'health')
  const known = state(t, app.address).health.at(-1).at
  t.write(one([app, other], pool))
  assert.equal(t.command('reload').code, 0)
  assert.equal(state(t, app.address).check, 'down')
  assert.equal(verdicts(t).filter(e => e.server.endsWith(app.address)).length, 1)
  assert.ok(state(t, app.address).health.some(o => o.at >= known))
  await checked(t, other.address, 'up')
  const third = await App.start()
  assert.equal(t.command('add', `main/${third.address}`).code, 0)
  await checked(t, third.address, 'up')
  assert.equal(t.command('remove', `main/${third.address}`).code, 0)
  const asked = third.checks.length
  const others = other.checks.length
  await until(() => other.checks.length > others + 3, 'others are still asked')
  assert.ok(third.checks.length <= asked + 1)
  t.write(one([app, other], 'balance: round_robin'))
  assert.equal(t.command('reload').code, 0)
  assert.equal(state(t, app.address).check, 'unknown', 'nobody looks any more')
  await t.stop()
  for (const a of [app, other, third]) await a.stop()
})

test('a server that is introduced to clients hears that a check is none (LOCAL)', async () => {
  const told = await Told.start(async wire => {
    await wire.until('\r\n\r\n')
    wire.send(answer(200, 'x', 'Connection: close\r\n')).end()
  })
  const t = await Turnout.start(one(told, `proxy_protocol: v2, health: { http: { path: /health, ${times} } }`))
  await checked(t, told.address, 'up')
  const header = await told.header()
  assert.deepEqual([header.version, header.command, header.source], [2, 0x20, undefined])
  await t.stop()
  await told.stop()
})

test('10,000 servers are asked without a crowd, and the process stays small', { timeout: 120000 }, async () => {
  const listener = await Listener.start()
  const servers = Array.from({ length: 10000 }, (_, i) => `127.1.${i >> 8}.${i & 255}:${listener.port}`)
  const t = await Turnout.start(one(servers, 'health: { tcp: { interval: 10s, fast_interval: 5s, timeout: 10s } }'))
  await until(() => listener.accepted >= 10000, 'each was asked', 60000)
  const { health } = t.status()
  assert.ok(health.checks_under_way_most <= 256, `${health.checks_under_way_most}`)
  const first = listener.times.slice(0, 10000)
  const took = first.at(-1) - first[0]
  assert.ok(took > 8000, `10,000 in ${took} ms`)
  await until(async () => (await ask(t, 'GET', '/api/v1/servers')).json.servers.filter(s => s.check === 'up').length === 10000, 'all are up', 30000)
  const rss = t.memory('VmRSS')
  assert.ok(rss < 150000 || /asan|tsan/.test(binary), `${rss} KiB`)
  await t.stop()
  await listener.stop()
})
