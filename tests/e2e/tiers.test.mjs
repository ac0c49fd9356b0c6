// What the relay promises, in every tier: the same tests for `copy` and for `splice`.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, readFileSync, readSync, readdirSync, readlinkSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Backend, Wire, frame, request, switching, tunnel } from './lib/raw.mjs'
import { Turnout, binary, simple, until } from './lib/turnout.mjs'

const isSanitized = /asan|tsan/.test(binary)
const isLong = !!process.env.TURNOUT_LONG
const mebibytes = isLong ? 1024 : 96
const KiB = 1024
const MiB = 1 << 20
const TICKS = 100 // of CPU time, a second

const block = Buffer.alloc(MiB)
for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 9)) & 255
const masked = frame(block.subarray(0, 128 * KiB), { opcode: 2 })
const plain = frame(block.subarray(0, 128 * KiB), { opcode: 2, masked: false })

// Writes `piece` as often as is asked for, no faster than the other side takes it; then ends, if it shall.
function pump (socket, piece, times, { end = false } = {}) {
  while (times > 0) {
    times--
    if (!socket.write(piece)) { socket.once('drain', () => pump(socket, piece, times, { end })); return }
  }
  if (end) socket.end()
}
// As many descriptors as are open, and one more: for the command that asks, but for no pipe.
async function leaveOne (pid) {
  const list = () => readdirSync(`/proc/${pid}/fd`).join()
  let last
  await until(() => { const before = last; last = list(); return last === before }, 'nothing opens or closes')
  const open = new Set(last.split(',').map(Number))
  let free = 0
  while (open.has(free)) free++
  assert.equal(spawnSync('prlimit', ['--pid', String(pid), `--nofile=${free + 1}:`]).status, 0)
}
// Forgets what came so far and hashes the rest: nothing is kept.
function hash (wire, { delay = 0 } = {}) {
  const heard = { count: 0, sum: createHash('sha1') }
  const hear = data => {
    heard.sum.update(data)
    heard.count += data.length
    if (delay && heard.count >> 18 !== (heard.count - data.length) >> 18) { wire.socket.pause(); setTimeout(() => wire.socket.resume(), delay) }
  }
  wire.socket.removeAllListeners('data').on('data', hear)
  hear(wire.got)
  wire.got = Buffer.alloc(0)
  return heard
}
function hashOf (piece, times) {
  const sum = createHash('sha1')
  for (let i = 0; i < times; i++) sum.update(piece)
  return sum.digest('hex')
}
const pipesOf = pid => readdirSync(`/proc/${pid}/fd`).filter(fd => {
  try { return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('pipe:') } catch { return false }
})
// Whether one may read from it without waiting: something is in it.
function holdsBytes (pid, fd) {
  let opened
  try {
    opened = openSync(`/proc/${pid}/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK)
    return readSync(opened, Buffer.alloc(1)) > 0
  } catch { return false } finally { if (opened !== undefined) closeSync(opened) }
}
const cpuTicks = pid => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).reduce((sum, n) => sum + Number(n), 0)
function kernelBytes (pid) {
  let sum = 0
  const out = spawnSync('ss', ['-tmnp'], { encoding: 'utf8' }).stdout
  for (const [, r, f, w] of out.matchAll(new RegExp(`pid=${pid},[^\\n]*\\n[^\\n]*skmem:\\(r(\\d+),rb\\d+,t\\d+,tb\\d+,f(\\d+),w(\\d+)`, 'g'))) sum += Number(r) + Number(f) + Number(w)
  return sum
}

for (const tier of ['copy', 'splice']) {
  describe(tier, () => {
    let turnout, backend
    before(async () => {
      backend = await Backend.start(async (wire, { path }, b) => {
        wire.path = path
        wire.send(switching())
        if (path === '/first') wire.send(plain)
        b.last = wire
        return 'tunnel'
      })
      turnout = await Turnout.start(t => `workers: 1\nlog: { level: debug }\nrelay: { tiers: [ ${tier === 'copy' ? 'copy' : 'splice, copy'} ] }\n` + simple(backend)(t))
    })
    after(async () => { await turnout.stop(); await backend.stop() })

    const open = async (path = '/') => {
      backend.last = undefined
      const client = await tunnel(turnout.port, path)
      return { client, server: await until(() => backend.last) }
    }
    const relayOf = client => turnout.json('connections').connections.find(c => c.client.endsWith(`:${client.localPort}`))
    // Frames each way until both directions are served by the tier that is tested.
    const warm = async (client, server) => {
      let count = 0
      while (true) {
        count++
        client.send(masked)
        server.send(plain)
        await Promise.all([server.length(masked.length), client.length(plain.length)])
        server.got = client.got = Buffer.alloc(0)
        const { to_server_relay: up, to_client_relay: down } = relayOf(client)
        if (up.tier === tier && down.tier === tier && count >= 4) return
        assert.ok(count < 100, `${up.tier} and ${down.tier} after ${count} frames`)
      }
    }
    const alone = () => until(() => turnout.counters().tunnels === 0, 'those before are gone')
    const opened = async path => { const both = await open(path); await warm(both.client, both.server); return both }
    const close = ({ client, server }) => { client.close(); server.close() }
    const closed = client => turnout.event(e => e.event === 'close' && e.client.endsWith(`:${client.localPort}`))

    test('bytes that came with the request, and a server that speaks first', async () => {
      const client = await Wire.connect(turnout.port)
      backend.last = undefined
      client.send(Buffer.concat([Buffer.from(request('/first')), masked, masked]))
      await client.head()
      const got = await client.take(plain.length)
      assert.ok(got.equals(plain))
      const server = await until(() => backend.last)
      assert.ok((await server.take(2 * masked.length)).equals(Buffer.concat([masked, masked])))
      close({ client, server })
    })
    test('both directions say which tier serves, for how long, and why no better one does', async () => {
      const { client, server } = await opened()
      const c = relayOf(client)
      assert.equal(c.tier, tier)
      for (const lane of [c.to_server_relay, c.to_client_relay]) {
        assert.equal(lane.no_better, tier === 'copy' ? 'the configuration leaves it out' : null)
        assert.ok(lane.since_usec < 60e6)
      }
      assert.match(turnout.command('connections').out, new RegExp(` ${tier} `))
      assert.deepEqual(c.aligned, [true, true])
      if (tier === 'splice') {
        const change = await turnout.event(e => e.event === 'tier' && e.connection === c.connection && e.direction === 'to client')
        assert.deepEqual([change.tier, change.words], ['splice', 'its batches are large'])
        for (let i = 0; i < 8; i++) { client.send(frame('small')); await server.length(11); server.got = Buffer.alloc(0) }
        await until(() => relayOf(client).to_server_relay.tier === 'copy', 'small frames are copied again')
        assert.equal(relayOf(client).to_server_relay.no_better, 'its batches are small')
        assert.equal(relayOf(client).to_client_relay.tier, 'splice')
      }
      close({ client, server })
      const line = await closed(client)
      assert.deepEqual([line.to_server_tier, line.to_client_tier], ['copy', tier])
    })
    test('small and large frames mixed come byte for byte', async () => {
      const { client, server } = await opened()
      const pieces = []
      for (let i = 0; i < 400; i++) pieces.push(frame(block.subarray(i, i + [0, 5, 125, 126, 4000, 16384, 65535, 65536, 200000][i * 7 % 9]), { opcode: 2, masked: false }))
      const all = Buffer.concat(pieces)
      const heard = hash(client)
      pump(server.socket, all, 1)
      await until(() => heard.count === all.length, 'all of them')
      assert.equal(heard.sum.digest('hex'), hashOf(all, 1))
      assert.deepEqual(relayOf(client).aligned, [true, true])
      close({ client, server })
    })
    test('half-closed by the client, 3 MB come back', async () => {
      const { client, server } = await opened()
      server.socket.on('end', () => pump(server.socket, plain, 24, { end: true }))
      const heard = hash(client)
      client.send(masked).end()
      assert.equal(await client.closed(), 'FIN')
      assert.equal(server.got.length, masked.length)
      assert.equal(heard.count, 24 * plain.length)
      assert.equal((await closed(client)).reason, 'DONE')
    })
    test('half-closed by the server, 3 MB go on', async () => {
      const { client, server } = await opened()
      const heard = hash(server)
      server.send(plain).end()
      assert.equal(await client.closed(), 'FIN')
      assert.equal(client.got.length, plain.length)
      pump(client.socket, masked, 24, { end: true })
      await server.closed()
      assert.equal(heard.count, 24 * masked.length)
      assert.equal((await closed(client)).reason, 'DONE')
    })
    for (const [who, reason] of [['client', 'CLIENT_RESET'], ['server', 'SERVER_RESET']]) {
      test(`a reset by the ${who} in the midst of it is a reset, and named`, async () => {
        const both = await opened()
        const other = who === 'client' ? both.server : both.client
        pump(both[who].socket, who === 'client' ? masked : plain, 2)
        await other.length(1)
        both[who].reset()
        assert.equal(await other.closed(), 'RST')
        assert.equal((await closed(both.client)).reason, reason)
      })
    }
    test('8 MiB and a close reach a slow reader whole', async () => {
      for (let i = 0; i < (isLong ? 40 : 10); i++) {
        const { client, server } = await opened()
        client.socket.pause()
        pump(server.socket, plain, 64, { end: true })
        await until(() => relayOf(client).to_client_unsent_bytes > 0, 'back-pressure is felt')
        const heard = hash(client, { delay: i % 3 })
        client.socket.resume()
        await client.closed(20000)
        assert.equal(heard.count, 64 * plain.length)
        close({ client, server })
      }
    })
    test(`${mebibytes} MiB each way to slow readers: equal, and bounded in user space and in the kernel`, async () => {
      await alone()
      const { client, server } = await opened()
      const times = mebibytes * MiB / (128 * KiB)
      const atServer = hash(server, { delay: 1 })
      const atClient = hash(client, { delay: 1 })
      const highest = turnout.memory('VmHWM')
      pump(client.socket, masked, times)
      pump(server.socket, plain, times)
      let kernel = 0
      await until(() => {
        kernel = Math.max(kernel, kernelBytes(turnout.pid))
        return atServer.count === times * masked.length && atClient.count === times * plain.length
      }, 'all of it', 900000)
      assert.ok(kernel > 0 && kernel <= 8 * MiB, `${kernel} bytes in the kernel`)
      assert.equal(atServer.sum.digest('hex'), hashOf(masked, times))
      assert.equal(atClient.sum.digest('hex'), hashOf(plain, times))
      if (!isSanitized) assert.ok(turnout.memory('VmHWM') - highest <= 2048, `VmHWM grew by ${turnout.memory('VmHWM') - highest} kB`)
      close({ client, server })
    })
    test('a receiver that stops holds its sender up, and nothing grows', async () => {
      await alone()
      const { client, server } = await opened()
      const before = relayOf(client).to_client_bytes
      client.socket.pause()
      pump(server.socket, plain, 512) // 64 MiB
      let taken = 0
      await until(() => {
        const now = relayOf(client).to_client_bytes - before
        const stands = now === taken && now > 0 && relayOf(client).to_client_unsent_bytes > 0
        taken = now
        return stands
      }, 'the sender is held up')
      assert.ok(taken < 24 * MiB, `${taken} bytes were taken`)
      assert.ok(kernelBytes(turnout.pid) <= 8 * MiB)
      assert.ok(relayOf(client).to_client_unsent_bytes <= 256 * KiB + 4096)
      close({ client, server })
      await closed(client)
    })
    test('many stalled receivers cost no CPU, and one that reads is served', { timeout: 300000 }, async () => {
      const count = isLong ? 2000 : 100
      const stalled = []
      for (let i = 0; i < count; i++) {
        const { client, server } = await opened()
        client.socket.pause()
        for (let n = 0; n < 40; n++) server.socket.write(plain) // 5 MiB, of which some stay with the sender
        stalled.push({ client, server })
      }
      let last = -1
      await until(() => {
        const now = turnout.json('connections').connections.reduce((sum, c) => sum + c.to_client_bytes, 0)
        const stands = now === last
        last = now
        return stands
      }, 'all are stalled', 60000)
      const ticks = cpuTicks(turnout.pid)
      const began = Date.now()
      await until(() => Date.now() - began > 2000)
      const used = (cpuTicks(turnout.pid) - ticks) / TICKS
      assert.ok(used <= 0.06, `${used} s of CPU in 2 s`)

      const { client, server } = await opened()
      const heard = hash(client)
      pump(server.socket, plain, 128)
      await until(() => heard.count === 128 * plain.length, 'the healthy one gets all')
      if (tier === 'splice') {
        assert.ok(pipesOf(turnout.pid).some(fd => holdsBytes(turnout.pid, fd)), 'some are held up in pipes')
        assert.equal(relayOf(client).to_client_relay.tier, 'splice')
        assert.ok(pipesOf(turnout.pid).length <= 2 * 64 + 2, `${pipesOf(turnout.pid).length} ends of pipes`)
      }
      for (const both of [{ client, server }, ...stalled]) close(both)
      await until(() => turnout.counters().tunnels === 0, 'all are gone', 20000)
      await until(() => pipesOf(turnout.pid).length <= 2 * 4 + 2, 'few pipes rest')
      assert.ok(!pipesOf(turnout.pid).some(fd => holdsBytes(turnout.pid, fd)), 'and they are empty')
    })
    test('without descriptors for pipes everything is copied', { skip: tier === 'copy' }, async () => {
      const other = await Turnout.start(t => 'workers: 1\n' + simple(backend)(t))
      const through = async () => {
        backend.last = undefined
        const client = await tunnel(other.port)
        const server = await until(() => backend.last)
        return { client, server, relay: () => other.json('connections').connections.find(c => c.client.endsWith(`:${client.localPort}`)) }
      }
      const { client, server, relay } = await through()
      await leaveOne(other.pid)
      const heard = hash(client)
      pump(server.socket, plain, 128)
      await until(() => heard.count === 128 * plain.length, 'all of it, copied')
      assert.equal(relay().to_client_relay.tier, 'copy')
      assert.equal(relay().to_client_relay.no_better, 'no pipe could be had')
      assert.equal(spawnSync('prlimit', ['--pid', String(other.pid), '--nofile=1024:']).status, 0)
      const again = heard.count
      pump(server.socket, plain, 128)
      await until(() => heard.count === again + 128 * plain.length, 'all of it')
      assert.equal(relay().to_client_relay.tier, 'splice')
      close({ client, server })
      await other.stop()
    })
  })
}
