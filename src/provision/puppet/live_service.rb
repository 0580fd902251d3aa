# SPDX-License-Identifier: GPL-3.0-or-later
# Puppet's own provider of this name, in an image that is booted for the run: services really start
# and stop. What runs here shall run on the instances, too, so that it joins what `goldmill test` looks
# for; and where a manifest does not say `enable`, `ensure` decides about boot as it does without
# booting.
theirs = $LOAD_PATH.map { |place| File.join(place, 'puppet/provider/service/systemd.rb') }
                   .find { |file| file != __FILE__ && File.file?(file) }
load theirs

module LivesOnInstances
  UNIT_TYPES = /\.(service|socket|timer|path|mount|automount|target|device|swap|slice|scope)\z/.freeze
  ENABLED = %w[enabled generated alias].freeze
  STARTS = (ENABLED + %w[static indirect]).freeze

  def unit
    UNIT_TYPES.match?(@resource[:name]) ? @resource[:name] : "#{@resource[:name]}.service"
  end

  def at_boot
    execute([command(:systemctl), 'is-enabled', '--', unit], failonfail: false, combine: false).strip
  end

  # Only what is both now and at boot as it shall be is in sync.
  def status
    current = super
    case @resource[:ensure]
    when :running
      return :stopped if @resource[:enable].nil? && !STARTS.include?(at_boot)

      promise if current == :running
    when :stopped
      return :running if @resource[:enable].nil? && ENABLED.include?(at_boot)
    end
    current
  end

  def start
    super
    enable if @resource[:enable].nil? && !STARTS.include?(at_boot)
    promise
  end

  def stop
    super
    disable if @resource[:enable].nil? && ENABLED.include?(at_boot)
  end

  def promise
    $services << unit if [nil, :true].include?(@resource[:enable])
  end
end

Puppet::Type.type(:service).provider(:systemd).prepend(LivesOnInstances)
