// Reload: checked whole, in force at once, and no tunnel touched that need not be.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Wire, closeFrame, frame, plain, request, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, binary, canConnect, freePort, simple, until } from './lib/turnout.mjs'

let a, b
before(async () => { a = await Echo.start('a'); b = await Echo.start('b') })
after(async () => { await a.stop(); await b.stop() })

const isSanitized = /asan|tsan/.test(binary)
const many = process.env.TURNOUT_LONG ? { tunnels: 1000, reloads: 100 } : { tunnels: 200, reloads: 25 }

test(`${many.tunnels} tunnels with sequence-checked traffic live through ${many.reloads} reloads, one process, no growth`, async () => {
  const t = await Turnout.start(simple(a, b))
  const wires = []
  for (let i = 0; i < many.tunnels; i++) wires.push(await tunnel(t.port))
  const round = async n => {
    for (const [i, wire] of wires.entries()) wire.send(frame(`${i}:${n}`))
    for (const [i, wire] of wires.entries()) {
      const wanted = `${i}:${n}`
      assert.deepEqual((await wire.take(2 + wanted.length)).subarray(2).toString(), wanted)
    }
  }
  await round('first')
  t.command('reload')
  const before = t.memory('VmRSS')
  for (let n = 0; n < many.reloads; n++) {
    assert.equal(t.command('reload').code, 0)
    await round(n)
  }
  const grown = t.memory('VmRSS')
  assert.ok(isSanitized || grown <= before * 1.05 + 512, `${before} kB before, ${grown} after`) // allocators of sanitizers keep memory
  assert.equal(t.status().configuration, many.reloads + 2)
  assert.equal(t.counters().tunnels, many.tunnels)
  for (const wire of wires) wire.close()
  await t.stop()
})
test('clients that connect as fast as they can are never refused by a reload', async () => {
  const t = await Turnout.start(simple(a, b))
  let connected = 0
  let goes = true
  const connecting = Array.from({ length: 8 }, async () => {
    while (goes) {
      const wire = await tunnel(t.port)
      wire.send(frame('x'))
      await wire.length(3)
      wire.close()
      connected++
    }
  })
  for (let n = 1; n <= 20; n++) {
    t.child.kill('SIGHUP')
    await until(() => t.events.filter(e => e.event === 'reload').length === n)
  }
  await until(() => connected > 200)
  goes = false
  await Promise.all(connecting)
  assert.deepEqual(t.events.filter(e => e.event === 'refused'), [])
  await t.stop()
})
test('a wrong file is refused whole, by command and by SIGHUP, and the old one serves on', async () => {
  const t = await Turnout.start(simple(a))
  const wire = await tunnel(t.port)
  t.write(t => `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: nowhere } ]\npools: { main: { servers: [ ${a.address} ], balance: magic } }\n`)
  const refused = t.command('reload')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /turnout\.yaml:\d+:\d+: error: .*nowhere/)
  assert.match(refused.err, /magic/)
  t.child.kill('SIGHUP')
  await until(() => t.events.filter(e => e.event === 'reload_failed').length >= 4)
  wire.send(frame('on'))
  await wire.until('on')
  ;(await tunnel(t.port)).close()
  assert.equal(t.status().last_reload.result, 'refused')
  t.write(simple(a))
  t.child.kill('SIGHUP')
  await t.event(e => e.event === 'reload')
  wire.close()
  await t.stop()
})
test('a listener is added, another removed; tunnels of the removed one live on', async () => {
  const t = await Turnout.start(simple(a))
  const wire = await tunnel(t.port)
  const other = await freePort()
  t.write(`listeners: [ { listen: 127.0.0.1:${other} } ]\npools: { main: { servers: [ ${a.address} ] } }\n`)
  assert.equal(t.command('reload').code, 0)
  ;(await tunnel(other)).close()
  await until(async () => !(await canConnect(t.port)))
  wire.send(frame('on'))
  await wire.until('on')
  wire.close()
  await t.stop()
})
test('a port that is taken refuses the reload by its line', async () => {
  const t = await Turnout.start(simple(a))
  t.write(t => `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: 127.0.0.1:${a.port} } ]\npools: { main: { servers: [ ${a.address} ] } }\n`)
  assert.match(t.command('reload').err, new RegExp(`cannot listen on 127.0.0.1:${a.port}`))
  ;(await tunnel(t.port)).close()
  await t.stop()
})
const withPool = (more, servers) => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { ${more} servers: [ ${servers} ] } }\n`
test('on_removed: keep leaves the tunnels of a removed server alone', async () => {
  const t = await Turnout.start(withPool('balance: round_robin,', `${a.address}, ${b.address}`))
  const wires = [await tunnel(t.port), await tunnel(t.port)]
  t.write(withPool('', b.address))
  assert.equal(t.command('reload').code, 0)
  for (const wire of wires) { wire.send(frame('on')); await wire.until('on'); wire.close() }
  await t.stop()
})
test('on_removed: close ends them by a Close frame with 1012, and only them', async () => {
  const t = await Turnout.start(withPool('balance: round_robin, on_removed: close,', `${a.address}, ${b.address}`))
  const wires = [await tunnel(t.port), await tunnel(t.port)]
  for (const wire of wires) { wire.send(frame('x')); await wire.take(3) }
  t.write(withPool('on_removed: close,', b.address))
  assert.equal(t.command('reload').code, 0)
  const line = await t.event(e => e.event === 'close')
  assert.equal(line.reason, 'REMOVED')
  assert.equal(line.server, `main/${a.address}`)
  const closed = await Promise.race(wires.map(async wire => { await wire.closed(); return wire }))
  assert.ok(closed.got.includes(closeFrame(1012, false)), closed.got.toString('hex'))
  const other = wires.find(wire => wire !== closed)
  other.send(frame('on'))
  await other.until('on')
  other.close()
  await t.stop()
})
test('the counts of live tunnels survive a change of servers: the new one is filled first', async () => {
  const t = await Turnout.start(withPool('', `${a.address}, ${b.address}`))
  const wires = []
  for (let i = 0; i < 20; i++) wires.push(await tunnel(t.port))
  const c = await Echo.start('c')
  t.write(withPool('', `${a.address}, ${b.address}, ${c.address}`))
  assert.equal(t.command('reload').code, 0)
  for (let i = 0; i < 10; i++) wires.push(await tunnel(t.port))
  assert.deepEqual(t.json('servers').servers.map(s => s.tunnels), [10, 10, 10])
  for (const wire of wires) wire.close()
  await t.stop()
  await c.stop()
})
test('a kept connection follows the new configuration with its next request', async () => {
  const t = await Turnout.start(withPool('', a.address))
  const wire = await Wire.connect(t.port)
  wire.send(plain('/'))
  assert.equal((await wire.head()).fields['x-server'], 'a')
  await wire.until('this is a')
  wire.got = Buffer.alloc(0)
  t.write(withPool('', b.address))
  assert.equal(t.command('reload').code, 0)
  wire.send(plain('/'))
  assert.equal((await wire.head()).fields['x-server'], 'b')
  wire.close()
  await t.stop()
})
